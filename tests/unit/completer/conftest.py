from collections.abc import AsyncIterator
from typing import cast

import pytest

from inkling.client import EngineClient
from inkling.completer import Completer, Status
from inkling.config import Settings
from tests.unit.completer.fake_client import FakeClient


@pytest.fixture
async def fake() -> FakeClient:
    return FakeClient()


@pytest.fixture
async def statuses() -> list[Status]:
    return []


@pytest.fixture
async def completer(fake: FakeClient, statuses: list[Status]) -> AsyncIterator[Completer]:
    completer = Completer(cast(EngineClient, fake), Settings(), statuses.append)
    yield completer
    await completer.aclose()
    assert fake.num_running == 0
