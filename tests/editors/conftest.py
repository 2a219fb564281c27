"""For all tests in real editors."""

from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Try a failed test once more: an editor, a browser and a model share two cores here, and now and
    then one of them is late by seconds. The summary counts these, and what is wrong fails twice."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.flaky(reruns=1))
