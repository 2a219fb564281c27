"""Each test has an engine of its own: a short runtime folder (sockets allow about 100 bytes)."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import stop_engine


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The runtime folder of this test's processes; no engine is left behind."""
    folder = Path(tempfile.mkdtemp(prefix="ink-"))
    monkeypatch.setenv("INKLING_RUNTIME_DIR", str(folder))
    monkeypatch.setenv("XDG_STATE_HOME", str(folder / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
    yield folder
    stop_engine(folder)
    shutil.rmtree(folder, ignore_errors=True)
