"""The pipeline with a scripted engine: type-through, superseding, silence, growth."""

import asyncio
import itertools
from pathlib import Path

import pytest

from inkling import preparation
from inkling.completer import Completer, Status
from inkling.config import Settings
from inkling.core import CompletionRequest, DocumentSnapshot
from inkling.errors import EngineUnavailable
from tests.pictures import at_cursor, document
from tests.unit.completer.asking import final, request, states
from tests.unit.completer.fake_client import FakeClient


async def test_a_line_is_completed(completer: Completer, fake: FakeClient) -> None:
    fake.script = "a + b\n\n\ndef next(): ..."
    completion = await final(completer, "def add(a, b):\n    return ‸\n")
    assert completion.text == "a + b"
    assert completion.is_final
    assert not completion.from_cache
    assert fake.prompts[0].endswith("def add(a, b):\n    return ")


@pytest.mark.parametrize(
    ("faulty", "picture"),
    [
        ("related_code", "def add(a, b):\n    return ‸\n"),
        ("similar_functions", "# Add two numbers.\n‸\n"),
    ],
)
async def test_a_fault_in_other_files_costs_their_code_and_not_the_completion(
    completer: Completer,
    fake: FakeClient,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    faulty: str,
    picture: str,
) -> None:
    def fail(*_: object) -> None:
        raise IndexError("a file that nobody thought of")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(preparation, faulty, fail)
    await completer.set_roots([tmp_path])
    text, offset = at_cursor(picture)
    (tmp_path / "app.py").write_text(text)
    file = DocumentSnapshot((tmp_path / "app.py").as_uri(), "app.py", "python", text, 1)
    fake.script = "sum = a + b"
    assert (await final(completer, CompletionRequest(file, offset))).text == "sum = a + b"
    assert "no related code" in caplog.text


async def test_within_a_line_the_engine_stops_at_its_end(
    completer: Completer, fake: FakeClient
) -> None:
    fake.script = "a\n"
    await final(completer, "print(‸)\n")
    await final(completer, "x = f(‸\n    b)\n")
    await final(completer, "x = ‸\ny = 1\n")
    assert [params.stop for params in fake.params] == [("\n",), ("\n",), ()]


async def test_a_call_over_several_lines_comes_whole(
    completer: Completer, fake: FakeClient
) -> None:
    fake.script = "run(\n    a,\n)\nprint(x)\n"
    seen = [it.text for it in await states(completer, "x = ‸\ny = 2\n")]
    assert [text for text in seen if text] == ["run(\n    a,\n)"] * len([t for t in seen if t])


async def test_a_statement_that_does_not_end_is_not_shown(
    completer: Completer, fake: FakeClient
) -> None:
    fake.script = "run(\n    a,\n    b,"
    completion = await final(completer, "x = ‸\ny = 2\n")
    assert (completion.text, completion.silence) == ("", "filtered: a statement left open")


async def test_typing_the_shown_text_asks_the_engine_once(
    completer: Completer, fake: FakeClient
) -> None:
    fake.script = "a + b"
    shown = (await final(completer, "x = ‸\n")).text
    for typed in range(1, len(shown)):
        completion = await final(completer, f"x = {shown[:typed]}‸\n")
        assert completion.text == shown[typed:]
        assert completion.from_cache
    for typed in reversed(range(len(shown))):  # and backspace
        assert (await final(completer, f"x = {shown[:typed]}‸\n")).text == shown[typed:]
    assert len(fake.prompts) == 1


async def test_a_file_with_carriage_returns_is_typed_through_as_well(
    completer: Completer, fake: FakeClient
) -> None:
    fake.script = "\n    return 1\n"
    assert (await final(completer, "x = 1\r\ndef f():‸\r\n")).text == "\n    return 1"
    typed = await final(completer, "x = 1\r\ndef f():\r\n    re‸\r\n")
    assert typed.text == "turn 1"
    assert len(fake.prompts) == 1


async def test_typing_something_else_asks_again(completer: Completer, fake: FakeClient) -> None:
    fake.script = "a + b"
    await final(completer, "x = ‸\n")
    await final(completer, "x = c‸\n")
    await final(completer, "y = 2\nx = ‸\n")
    assert len(fake.prompts) == 3


async def test_a_bracket_closed_by_the_editor_is_typing_through(
    completer: Completer, fake: FakeClient
) -> None:
    fake.script = "print(a)"
    assert (await final(completer, "x = ‸\n")).text == "print(a)"
    completion = await final(completer, "x = print(‸)\n")
    assert completion.text == "a"
    assert len(fake.prompts) == 1


async def test_a_block_grows_by_whole_lines_and_is_never_rewritten(
    completer: Completer, fake: FakeClient
) -> None:
    fake.script = "\n    if a:\n        return b\n    return c\n\n\ndef g(): pass\n"
    seen = [state.text for state in await states(completer, "def f(a, b, c):‸")]
    assert seen[-1] == "\n    if a:\n        return b\n    return c"
    assert len(seen) > 2
    for shorter, longer in itertools.pairwise(seen):
        assert longer.startswith(shorter)
        assert shorter == longer or longer[len(shorter) :].startswith("\n")


async def test_of_a_loop_only_the_first_round_is_ever_shown(
    completer: Completer, fake: FakeClient
) -> None:
    fake.script = "\n    start()\n" + "    alpha()\n    beta()\n" * 20
    seen = [state.text for state in await states(completer, "def f():‸")]
    assert seen[-1] == "\n    start()\n    alpha()\n    beta()"
    for shorter, longer in itertools.pairwise(seen):
        assert longer.startswith(shorter)
    assert fake.num_cancelled == 1


async def test_decoding_stops_once_the_block_has_ended(
    completer: Completer, fake: FakeClient
) -> None:
    fake.script = "\n    return 1\n\n\ndef g():\n" + "    pass\n" * 50
    await final(completer, "def f():‸")
    assert fake.num_cancelled == 1


async def test_typing_ahead_of_the_model_waits_for_it(
    completer: Completer, fake: FakeClient
) -> None:
    fake.script = "alpha + beta"
    fake.gate.clear()
    first = asyncio.create_task(states(completer, "x = ‸\n"))
    while not fake.prompts:
        await asyncio.sleep(0.01)
    second = asyncio.create_task(states(completer, "x = al‸\n"))
    await asyncio.sleep(0.05)
    first.cancel()
    fake.gate.set()
    assert (await second)[-1].text == "pha + beta"
    assert len(fake.prompts) == 1


async def test_typing_ahead_and_elsewhere_starts_anew(
    completer: Completer, fake: FakeClient
) -> None:
    fake.script = "alpha"
    fake.gate.clear()
    first = asyncio.create_task(states(completer, "x = ‸\n"))
    while not fake.prompts:
        await asyncio.sleep(0.01)
    second = asyncio.create_task(states(completer, "x = om‸\n"))
    await asyncio.sleep(0.05)
    fake.script = "ega"
    fake.gate.set()
    assert (await second)[-1].text == "ega"
    assert len(fake.prompts) == 2
    await first


async def test_a_request_elsewhere_ends_the_running_one(
    completer: Completer, fake: FakeClient
) -> None:
    fake.script = "alpha"
    fake.gate.clear()
    running = asyncio.create_task(states(completer, "x = ‸\ny = 1\n"))
    while not fake.prompts:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
    other = asyncio.create_task(states(completer, "x = 0\ny = ‸1\n"))
    while len(fake.prompts) < 2:
        await asyncio.sleep(0.01)
    assert fake.num_cancelled == 1
    fake.gate.set()
    await other
    await running


async def test_a_generation_nobody_reads_is_ended(
    completer: Completer, fake: FakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inkling.generation.ABANDONED_S", 0.05)
    fake.script = "alpha"
    fake.gate.clear()
    running = asyncio.create_task(states(completer, "x = ‸\n"))
    while not fake.prompts:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.02)
    running.cancel()
    while not fake.num_cancelled:
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("settings", "path", "reason"),
    [
        (Settings(enabled=False), "a.py", "disabled"),
        (Settings(disabled_languages=("python",)), "a.py", "disabled for python"),
        (Settings(max_file_kb=1), "a.py", "file too large"),
        (Settings(), ".env.local", "secret"),
        (Settings(), "keys/id_rsa", "secret"),
        (Settings(), "server.pem", "secret"),
    ],
)
async def test_silence_has_a_reason(
    completer: Completer, fake: FakeClient, settings: Settings, path: str, reason: str
) -> None:
    completer.update_settings(settings)
    big = "#" * 2000 + "\n" if reason == "file too large" else ""
    (state,) = [s async for s in completer.complete(request(f"{big}x = ‸", path))]
    assert (state.text, state.silence, state.is_final) == ("", reason, True)
    assert completer.status.reason == reason
    assert not fake.prompts


async def test_an_empty_answer_says_which_filter_left_nothing(
    completer: Completer, fake: FakeClient
) -> None:
    fake.script = "value = 1"
    completion = await final(completer, "a = 0\n‸\nvalue = 1\n")
    assert completion.text == ""
    assert completion.silence == "filtered: the line below"
    fake.script = ""
    assert (await final(completer, "c = ‸\n")).silence == "nothing to add"


async def test_an_engine_that_cannot_start_is_a_reason_and_not_an_error(
    completer: Completer, fake: FakeClient, statuses: list[Status]
) -> None:
    fake.failure = EngineUnavailable("the engine could not start: no weights.")
    completion = await final(completer, "x = ‸\n")
    assert completion.silence == "the engine could not start: no weights."
    assert statuses[-1].state == "error"
    fake.failure = None
    fake.script = "1"
    assert (await final(completer, "x = ‸\n")).text == "1"
    assert completer.status == Status("ready", "fake model", "demo", where="this machine")


async def test_an_engine_that_dies_while_writing_costs_this_completion_only(
    completer: Completer, fake: FakeClient
) -> None:
    fake.script = "alpha"
    fake.gate.clear()
    running = asyncio.create_task(states(completer, "x = ‸\n"))
    while not fake.prompts:
        await asyncio.sleep(0.01)
    fake.failure = EngineUnavailable("the engine ended; the next key starts it again.")
    fake.gate.set()
    assert "the engine ended" in (await running)[-1].silence
    fake.failure = None
    assert (await final(completer, "x = ‸\n")).text == "alpha"


async def test_acceptance_is_counted_and_a_closed_document_forgotten(
    completer: Completer, fake: FakeClient
) -> None:
    fake.script = "a"
    completion = await final(completer, "x = ‸\n")
    completer.accepted(completion.id)
    completer.accepted("never shown")
    assert completer.counters.accepted == 1
    completer.closed(document("").uri)
    await final(completer, "x = ‸\n")
    assert len(fake.prompts) == 2


async def test_switched_off_it_starts_no_engine_and_says_so(
    completer: Completer, fake: FakeClient, statuses: list[Status]
) -> None:
    completer.update_settings(Settings(enabled=False))
    await completer.warm_up()
    assert completer.status.state == "off"
    completer.update_settings(Settings())
    await completer.warm_up()
    assert [status.state for status in statuses] == ["off", "starting", "ready"]


async def test_a_superseded_request_ends_cancelled_and_asks_nothing(
    completer: Completer, fake: FakeClient
) -> None:
    fake.script = "\n    return 1\n"
    fake.gate.clear()
    running = asyncio.create_task(states(completer, "def f():‸"))
    while not fake.prompts:
        await asyncio.sleep(0.01)
    for pause in range(3):
        older = asyncio.create_task(states(completer, "def g():‸"))
        for _ in range(pause):
            await asyncio.sleep(0)
        older.cancel()
        await asyncio.wait([older])
        assert older.cancelled()
    fake.gate.set()
    await final(completer, "def h():‸")
    assert not any("def g" in prompt for prompt in fake.prompts)
    await running


async def test_what_a_superseded_generation_left_is_not_served_as_whole(
    completer: Completer, fake: FakeClient
) -> None:
    fake.script = "\n    a = 1\n    b = 2\n    c = 3\n"
    async for state in completer.complete(request("def f():‸")):
        if state.text:
            break
    await final(completer, "x = 1\ny = ‸")
    assert (await final(completer, "def f():‸")).text == "\n    a = 1\n    b = 2\n    c = 3"


async def test_typing_what_the_model_is_not_writing_does_not_wait_for_it(
    completer: Completer, fake: FakeClient
) -> None:
    fake.script = "alpha" * 99
    running = asyncio.create_task(states(completer, "x = ‸\n"))
    while not fake.prompts:
        await asyncio.sleep(0)
    for _ in range(4):  # three characters are written, none is shown
        await asyncio.sleep(0)
    fake.gate.clear()
    other = asyncio.create_task(states(completer, "x = zz‸\n"))
    while len(fake.prompts) < 2:
        await asyncio.sleep(0.01)
    assert fake.num_cancelled == 1
    fake.gate.set()
    await other
    await running


async def test_a_bracket_the_editor_closed_in_mid_text_is_not_doubled(
    completer: Completer, fake: FakeClient
) -> None:
    fake.script = "foo(a) + 1"
    assert (await final(completer, "x = ‸\n")).text == "foo(a) + 1"
    for picture, rest in [
        ("x = foo(‸)\n", "a"),
        ("x = foo(a)‸\n", " + 1"),
        ("x = foo(a) +‸\n", " 1"),
    ]:
        assert (await final(completer, picture)).text == rest
    assert len(fake.prompts) == 1


async def test_an_unforeseen_failure_is_a_reason_and_does_not_last(
    completer: Completer, fake: FakeClient
) -> None:
    fake.failure = OSError("disk")
    with pytest.raises(OSError, match="disk"):
        await final(completer, "x = ‸\n")
    fake.failure = None
    fake.script = "1"
    assert (await final(completer, "x = ‸\n")).text == "1"


@pytest.mark.parametrize(
    ("language", "picture", "script", "text"),
    [
        ("ruby", "def f‸\n", "\n  a\nend\n\ndef g\n  b\nend", "\n  a\nend"),
        ("ruby", "def f‸\nend\n", "\n  a\nend\n\ndef g\n  b\nend", "\n  a"),
        ("go", "func f() {‸\n", "\n\ta()\n}\n\nfunc g() {\n}", "\n\ta()\n}"),
        ("zig", "fn f() void {‸\n", "\n    a();\n}\n\nfn g() void {}", "\n    a();\n}"),
    ],
)
async def test_a_block_ends_where_its_language_ends_it(
    completer: Completer, fake: FakeClient, language: str, picture: str, script: str, text: str
) -> None:
    fake.script = script
    code, offset = at_cursor(picture)
    asked = CompletionRequest(document(code, language, "src/app"), offset)
    assert [state async for state in completer.complete(asked)][-1].text == text
