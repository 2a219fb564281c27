"""What is written before the user gets there."""

import asyncio
from collections.abc import Callable

import pytest

from inkling.completer import Completer
from inkling.config import Settings
from inkling.errors import EngineUnavailable
from inkling.look_ahead import after_accepting, after_enter
from tests.pictures import at_cursor
from tests.unit.completer.asking import final, request, until
from tests.unit.completer.fake_client import FakeClient


def by_end(answers: dict[str, str]) -> Callable[[str], str]:
    """A model that knows what follows certain ends of a prompt, and nothing else."""

    def write(prompt: str) -> str:
        return next((text for end, text in answers.items() if prompt.endswith(end)), "")

    return write


@pytest.mark.parametrize(
    ("picture", "text", "after"),
    [
        ("x = ‸\ny", "a", "x = a‸\ny"),
        ("def f():‸\r\n", "\n    a\n    b", "def f():\r\n    a\r\n    b‸\r\n"),
    ],
)
def test_where_the_user_is_after_accepting(picture: str, text: str, after: str) -> None:
    place = after_accepting(request(picture), text)
    assert (place.document.text, place.offset) == at_cursor(after)


@pytest.mark.parametrize(
    ("picture", "after"),
    [
        ("    x = a‸\ny", "    x = a\n    ‸\ny"),
        ("\tx = a‸\r\ny", "\tx = a\r\n\t‸\r\ny"),
        ("x = a‸", "x = a\n‸"),
        ("x = ‸a\n", None),
        ("x\n    ‸\n", None),
    ],
)
def test_where_the_user_is_after_enter(picture: str, after: str | None) -> None:
    place = after_enter(request(picture))
    got = None if place is None else (place.document.text, place.offset)
    assert got == (None if after is None else at_cursor(after))


async def test_after_accepting_the_next_completion_is_there(
    completer: Completer, fake: FakeClient
) -> None:
    fake.write = by_end({"x = ": "foo.", "x = foo.": "a + b"})
    assert (await final(completer, "x = ‸\n")).text == "foo."
    await until(lambda: completer.counters.ahead_tokens > 0)
    accepted = await final(completer, "x = foo.‸\n")
    assert (accepted.text, accepted.from_cache) == ("a + b", True)
    assert (await final(completer, "x = foo.a +‸\n")).text == " b"
    assert len(fake.prompts) == 1
    counters = completer.counters
    assert (counters.requests, counters.from_memory) == (3, 2)
    assert counters.ahead_used == 1
    assert 0 < counters.ahead_tokens_used <= counters.ahead_tokens


async def test_where_the_line_is_complete_the_line_below_is_written_ahead(
    completer: Completer, fake: FakeClient
) -> None:
    fake.write = by_end({"    x = ": "1", "    x = 1\n    ": "y = 2"})
    assert (await final(completer, "def f():\n    x = ‸\n")).text == "1"
    await until(lambda: completer.counters.ahead == 2)
    nothing = await final(completer, "def f():\n    x = 1‸\n")
    assert (nothing.text, nothing.silence) == ("", "nothing to add")
    below = await final(completer, "def f():\n    x = 1\n    ‸\n")
    assert below.text == "y = 2"
    assert len(fake.prompts) == 1


async def test_it_is_read_while_it_is_still_being_written(
    completer: Completer, fake: FakeClient
) -> None:
    fake.write = by_end({"x = ": "foo.", "x = foo.": "a + b + c + d"})
    await final(completer, "x = ‸\n")
    fake.gate.clear()
    await until(lambda: len(fake.ahead) == 1)
    accepted = asyncio.create_task(final(completer, "x = foo.a‸\n"))
    await asyncio.sleep(0.02)
    assert not accepted.done()
    fake.gate.set()
    assert (await accepted).text == " + b + c + d"
    assert len(fake.prompts) == 1


async def test_a_key_that_does_not_agree_ends_it(completer: Completer, fake: FakeClient) -> None:
    fake.write = by_end({"x = ": "foo.", "x = foo.": "a + b", "x = g": "h"})
    await final(completer, "x = ‸\n")
    fake.gate.clear()
    await until(lambda: len(fake.ahead) == 1 and fake.num_running == 1)
    asked = asyncio.create_task(final(completer, "x = g‸\n"))
    await until(lambda: len(fake.prompts) == 2)
    assert fake.num_running == 1
    fake.gate.set()
    assert (await asked).text == "h"


async def test_a_key_that_agrees_lets_it_go_on(completer: Completer, fake: FakeClient) -> None:
    fake.write = by_end({"x = ": "foo.", "x = foo.": "a + b"})
    await final(completer, "x = ‸\n")
    fake.gate.clear()
    await until(lambda: len(fake.ahead) == 1)
    for picture in ("x = f‸\n", "x = fo‸\n", "x = f‸\n"):
        await final(completer, picture)
    fake.gate.set()
    assert (await final(completer, "x = foo.‸\n")).text == "a + b"
    assert fake.ahead.count(fake.ahead[0]) == 1


async def test_nothing_is_written_ahead_of_silence_or_when_switched_off(
    completer: Completer, fake: FakeClient
) -> None:
    await final(completer, "x = ‸\n")
    completer.update_settings(Settings(prefetch=False))
    fake.script = "a"
    await final(completer, "y = ‸\n")
    await asyncio.sleep(0.05)
    assert fake.ahead == []


async def test_a_failure_ahead_is_not_the_keys(completer: Completer, fake: FakeClient) -> None:
    fake.write = by_end({"x = ": "foo.", "x = foo.": "a + b"})
    await final(completer, "x = ‸\n")
    fake.gate.clear()
    await until(lambda: len(fake.ahead) == 1)
    fake.failure = EngineUnavailable("a more urgent request took the KV cache's pages.")
    fake.gate.set()
    await until(lambda: fake.num_running == 0)
    fake.failure = None
    assert completer.status.state == "ready"
    assert (await final(completer, "x = foo.‸\n")).text == "a + b"
    assert len(fake.prompts) == 2


# More than the tail of a prompt of 200 tokens holds: after it the prompt is planned anew.
LONG_BLOCK = "".join(f"\n    value_{n} = compute({n})" for n in range(24))
LINES = "".join(f"\n    q = {n}" for n in range(6))


async def test_looking_ahead_leaves_the_keys_prompt_as_it_is(
    completer: Completer, fake: FakeClient
) -> None:
    completer.update_settings(Settings(prompt_tokens=200))
    await final(completer, "def f():‸\n")
    fake.write = by_end({"q = 5\n    if q:": LONG_BLOCK.replace("\n", "\n    ")})
    await final(completer, f"def f():{LINES}\n    if q:‸\n")
    await until(lambda: len(fake.ahead) >= 1 and fake.num_running == 0)
    await final(completer, f"def f():{LINES}\n    if q:z‸\n")
    assert not fake.ahead[0].startswith(fake.prompts[1])
    assert fake.prompts[2] == fake.prompts[1] + "z"


async def test_a_key_goes_on_from_the_prompt_that_was_computed_ahead(
    completer: Completer, fake: FakeClient
) -> None:
    completer.update_settings(Settings(prompt_tokens=200))
    fake.write = by_end({"def f():": LONG_BLOCK})
    await final(completer, "def f():‸\n")
    await until(lambda: len(fake.ahead) >= 1 and fake.num_running == 0)
    assert not fake.ahead[0].startswith(fake.prompts[0])
    three_lines = "\n    q = 0\n    q = 1\n    q = 2"
    await final(completer, f"def f():{LONG_BLOCK}{three_lines}‸\n")
    assert fake.prompts[1] == fake.ahead[0] + three_lines


async def test_a_look_ahead_ends_with_its_document(completer: Completer, fake: FakeClient) -> None:
    fake.write = by_end({"x = ": "foo.", "x = foo.": "a + b"})
    asked = request("x = ‸\n")
    await final(completer, asked)
    fake.gate.clear()
    await until(lambda: fake.num_running == 1)
    completer.closed("file:///work/src/other.py")
    await asyncio.sleep(0.01)
    assert fake.num_running == 1
    completer.closed(asked.document.uri)
    await until(lambda: fake.num_running == 0)


async def test_documents_have_look_aheads_of_their_own(
    completer: Completer, fake: FakeClient
) -> None:
    fake.write = by_end({"x = ": "foo.", "x = foo.": "a + b"})
    for path in ("a.py", "b.py"):
        await final(completer, request("x = ‸\n", path))
    await until(lambda: len(fake.ahead) == 2 and fake.num_running == 0)
    for path in ("a.py", "b.py"):
        assert (await final(completer, request("x = foo.‸\n", path))).text == "a + b"
    assert len(fake.prompts) == 2
