"""More than one completion for those who ask by hand."""

import asyncio
import itertools

from inkling.completer import Completer
from inkling.core import Completion, TriggerKind
from inkling.errors import EngineUnavailable
from tests.unit.completer.asking import final, request, states, until
from tests.unit.completer.fake_client import FakeClient

INVOKED = request("x = ‸\n", trigger=TriggerKind.INVOKED, num_alternatives=2)


def texts(completion: Completion) -> list[str]:
    return [completion.text, *(other.text for other in completion.alternatives)]


async def test_alternatives_come_one_by_one_behind_the_first(
    completer: Completer, fake: FakeClient
) -> None:
    fake.script, fake.samples = "alpha", ["beta", "gamma"]
    seen = await states(completer, INVOKED)
    assert [shown for shown, _ in itertools.groupby(map(texts, seen))] == [
        ["alpha"],
        ["alpha", "beta"],
        ["alpha", "beta", "gamma"],
    ]
    assert [state.is_final for state in seen].index(True) == len(seen) - 1
    assert fake.prompts[0] == fake.prompts[1] == fake.prompts[2]
    assert [params.temperature for params in fake.params] == [0.0, 0.8, 0.8]
    assert [params.seed for params in fake.params] == [None, 0, 1]
    assert fake.most_interactive == 1


async def test_what_is_there_already_is_sampled_again_but_not_for_ever(
    completer: Completer, fake: FakeClient
) -> None:
    fake.script, fake.samples = "alpha", ["alpha", "beta", "beta"]
    assert texts(await final(completer, INVOKED)) == ["alpha", "beta"]
    assert len(fake.prompts) == 5


async def test_the_completion_on_screen_stays_the_first(
    completer: Completer, fake: FakeClient
) -> None:
    fake.script, fake.samples = "alpha", ["beta", "gamma"]
    assert texts(await final(completer, "x = ‸\n")) == ["alpha"]
    fake.script = "omega"
    assert texts(await final(completer, INVOKED)) == ["alpha", "beta", "gamma"]


async def test_every_alternative_is_typed_through(completer: Completer, fake: FakeClient) -> None:
    fake.script, fake.samples = "alpha", ["alto", "gamma"]
    shown = await final(completer, INVOKED)
    for text in texts(shown):
        for typed in range(2, len(text)):
            picture = f"x = {text[:typed]}‸\n"
            expected = "alpha" if "alpha".startswith(text[:typed]) else text
            assert (await final(completer, picture)).text == expected[typed:]
    assert len(fake.prompts) == 3
    completer.accepted(shown.alternatives[1].id)
    assert completer.counters.accepted == 1


async def test_a_key_ends_what_is_sampled(completer: Completer, fake: FakeClient) -> None:
    fake.script, fake.samples = "alpha", ["beta", "gamma"]

    async def read() -> None:
        async for _ in completer.complete(INVOKED):
            fake.gate.clear()  # the first is there

    asked = asyncio.create_task(read())
    await until(lambda: len(fake.prompts) == 2)
    asked.cancel()
    await asyncio.wait([asked])
    other = asyncio.create_task(final(completer, "x = z‸\n"))
    await until(lambda: len(fake.prompts) == 3)
    assert fake.num_interactive == 1
    fake.gate.set()
    assert (await other).text == "alpha"


async def test_an_engine_that_ends_leaves_the_first(completer: Completer, fake: FakeClient) -> None:
    fake.script, fake.samples = "alpha", ["beta"]
    async for state in completer.complete(INVOKED):
        fake.failure = EngineUnavailable("the engine ended; the next key starts it again.")
    assert state.is_final
    assert texts(state) == ["alpha"]
