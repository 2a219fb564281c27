"""Requests that come before the engine is there, and documents and servers that go meanwhile."""

import asyncio
from typing import cast

from inkling.client import EngineClient
from inkling.completer import Completer
from inkling.config import Settings
from tests.pictures import document
from tests.unit.completer.asking import final, request, states, until
from tests.unit.completer.fake_client import FakeClient


async def test_requests_of_all_documents_wait_for_one_start(
    completer: Completer, fake: FakeClient
) -> None:
    fake.started.clear()
    fake.script = "alpha"
    asked = [
        asyncio.create_task(final(completer, request("x = ‸\n", path))) for path in ("a.py", "b.py")
    ]
    await until(lambda: fake.num_starts == 1)
    assert completer.status.state == "starting"
    fake.started.set()
    assert [completion.text for completion in await asyncio.gather(*asked)] == ["alpha"] * 2
    assert (fake.num_starts, len(fake.prompts)) == (1, 2)


async def test_a_key_that_is_superseded_while_the_engine_starts_asks_it_nothing(
    completer: Completer, fake: FakeClient
) -> None:
    fake.started.clear()
    fake.script = "alpha"
    older = asyncio.create_task(states(completer, "x = ‸\n"))
    await until(lambda: fake.num_starts == 1)
    older.cancel()
    await asyncio.wait([older])
    newer = asyncio.create_task(final(completer, "x = a‸\n"))
    await asyncio.sleep(0.01)
    fake.started.set()
    assert (await newer).text == "alpha"
    assert (fake.num_starts, len(fake.prompts)) == (1, 1)


async def test_of_requests_that_nobody_cancels_the_newest_one_writes(
    completer: Completer, fake: FakeClient
) -> None:
    fake.started.clear()
    fake.script = "alpha, beta, gamma, delta"
    older = asyncio.create_task(final(completer, "x = ‸\n"))
    newer = asyncio.create_task(final(completer, "y = 1\nx = ‸\n"))
    await until(lambda: fake.num_starts == 1)
    fake.gate.clear()
    fake.started.set()
    await until(lambda: any(prompt.endswith("y = 1\nx = ") for prompt in fake.prompts))
    fake.gate.set()
    assert (await newer).text == fake.script
    await older
    assert fake.most_interactive == 1


async def test_a_document_that_is_closed_while_it_is_completed(
    completer: Completer, fake: FakeClient
) -> None:
    fake.script = "alpha"
    fake.gate.clear()
    asked = asyncio.create_task(final(completer, "x = ‸\n"))
    await until(lambda: fake.num_running == 1)
    completer.closed(document("").uri)
    assert (await asked).text == ""
    assert fake.num_running == 0
    fake.gate.set()
    assert (await final(completer, "x = ‸\n")).text == "alpha"


async def test_a_server_that_ends_while_its_engine_starts_leaves_nothing_behind() -> None:
    fake = FakeClient("alpha")
    fake.started.clear()
    completer = Completer(cast(EngineClient, fake), Settings(), lambda status: None)
    asked = asyncio.create_task(states(completer, "x = ‸\n"))
    await until(lambda: fake.num_starts == 1)
    await completer.aclose()
    await asyncio.wait([asked])
    assert fake.is_closed
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_server_that_ends_while_it_writes_leaves_nothing_behind() -> None:
    fake = FakeClient("alpha")
    completer = Completer(cast(EngineClient, fake), Settings(), lambda status: None)
    fake.write = lambda prompt: "foo"
    await final(completer, "x = ‸\n")
    fake.gate.clear()
    await until(lambda: fake.num_running == 1)
    await completer.aclose()
    assert fake.num_running == 0
    assert asyncio.all_tasks() == {asyncio.current_task()}
