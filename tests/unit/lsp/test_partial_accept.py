"""Accepting a part, in the order of events in which editors tell it, on the real completer.

VS Code inserts the part, says so with didChange, and asks again; after the whole text it first runs
the item's command. Neovim cancels its request when it accepts, changes the text, runs the command, and
asks again after a while.
"""

import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from inkling.client import EngineClient
from inkling.completer import Completer
from tests.unit.completer.fake_client import FakeClient
from tests.unit.lsp.editor import Editor

BLOCK = "\n    total = add(a, b)\n\n    return total"


class RealCompleter(Completer):
    """The real one, which says when it is warm."""

    is_warm = False

    async def warm_up(self) -> None:
        await super().warm_up()
        self.is_warm = True


class RealEditor(Editor):
    """An editor whose server has the real completer, and a scripted engine."""

    def __init__(self) -> None:
        super().__init__()
        self.fake = FakeClient(BLOCK)

    def _make_completer(self, *arguments: Any) -> Any:
        completer = RealCompleter(cast(EngineClient, self.fake), *arguments)
        cast(list[Any], self.completers).append(completer)
        return completer

    async def items(self, line: int, character: int, **extra: Any) -> list[Any]:
        answer = await self.ask_at(line, character, **extra)
        return cast(list[Any], answer["items"])

    async def text(self, line: int, character: int) -> str:
        [item] = await self.items(line, character)
        return cast(str, item["insertText"])


@pytest.fixture
async def editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RealEditor]:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    editor = RealEditor()
    await editor.start()
    yield editor
    await editor.stop()


async def test_word_by_word(editor: RealEditor) -> None:
    editor.open("def f(a, b):\n")
    assert await editor.text(0, 12) == BLOCK
    line, character, rest = 0, 12, BLOCK
    for part in ("\n    total", " =", " add", "(a", ", b)", "\n\n    return", " tot"):
        editor.insert(line, character, part)
        line += part.count("\n")
        last = part.rsplit("\n", 1)[-1]
        character = len(last) if "\n" in part else character + len(part)
        rest = rest.removeprefix(part)
        assert await editor.text(line, character) == rest
    assert rest == "al"
    assert len(editor.fake.prompts) == 1


@pytest.mark.parametrize("end", ["\n", "\r\n"])
async def test_line_by_line(editor: RealEditor, end: str) -> None:
    """With the line end (VS Code's command), and with the editor's own indentation after it."""
    editor.open(f"def f(a, b):{end}")
    assert await editor.text(0, 12) == BLOCK
    editor.insert(0, 12, end)
    assert await editor.text(1, 0) == "    total = add(a, b)\n\n    return total"
    editor.insert(1, 0, f"    total = add(a, b){end}    ")
    assert await editor.text(2, 4) == "\n    return total"
    editor.insert(2, 4, f"{end}    ")
    assert await editor.text(3, 4) == "return total"
    assert len(editor.fake.prompts) == 1


async def test_a_word_and_then_typing_and_then_backspace(editor: RealEditor) -> None:
    editor.open("def f(a, b):\n")
    await editor.text(0, 12)
    editor.insert(0, 12, "\n    total")
    assert await editor.text(1, 9) == " = add(a, b)\n\n    return total"
    editor.insert(1, 9, " ")
    assert await editor.text(1, 10) == "= add(a, b)\n\n    return total"
    change = {
        "range": {"start": {"line": 1, "character": 4}, "end": {"line": 1, "character": 10}},
        "text": "",
    }
    params = {"textDocument": {"uri": "file:///w/src/a.py", "version": 3}}
    editor.notify("textDocument/didChange", {**params, "contentChanges": [change]})
    assert await editor.text(1, 4) == "total = add(a, b)\n\n    return total"
    assert len(editor.fake.prompts) == 1


async def test_the_whole_text_and_what_comes_next(editor: RealEditor) -> None:
    """didChange, command, the next request: nothing of it needs the model any more."""

    def write(prompt: str) -> str:
        return {"f(": "a,", "f(a,": " b)"}.get(prompt[prompt.rfind("f(") :], "")

    editor.fake.write = write
    editor.open("x = f(\n")
    [item] = await editor.items(0, 6)
    await editor.until(lambda: editor.fake.ahead and not editor.fake.num_running)
    editor.insert(0, 6, item["insertText"])
    await editor.call(
        "workspace/executeCommand",
        {"command": item["command"]["command"], "arguments": item["command"]["arguments"]},
    )
    assert await editor.text(0, 8) == " b)"
    assert len(editor.fake.prompts) == 1
    counters = (await editor.call("inkling/status", None))["counters"]
    assert (counters["accepted"], counters["requests"], counters["from_memory"]) == (1, 2, 1)


async def test_a_request_cancelled_at_acceptance_leaves_the_rest_to_be_read(
    editor: RealEditor,
) -> None:
    editor.open("def f(a, b):\n")
    assert await editor.text(0, 12) == BLOCK
    editor.ask_at(0, 12).add_done_callback(lambda answer: answer.exception())
    editor.cancel_last()
    editor.insert(0, 12, "\n    total")
    assert await editor.text(1, 9) == " = add(a, b)\n\n    return total"
    assert len(editor.fake.prompts) == 1


async def test_who_asks_by_hand_gets_several_items_and_a_key_one(editor: RealEditor) -> None:
    editor.fake.script, editor.fake.samples = "alpha", ["beta", "gamma"]
    editor.open("x = \n")
    invoked: dict[str, Any] = {"context": {"triggerKind": 1}}
    items = await editor.items(0, 4, **invoked)
    assert [item["insertText"] for item in items] == ["alpha", "beta", "gamma"]
    assert len({item["command"]["arguments"][0] for item in items}) == 3
    assert await editor.text(0, 4) == "alpha"
    streamed = await editor.ask_at(0, 4, **invoked, partialResultToken="t")
    lists = [
        [item["insertText"] for item in report["value"]["items"]]
        for report in editor.received["$/progress"]
    ]
    lists.append([item["insertText"] for item in streamed["items"]])
    for shorter, longer in itertools.pairwise(lists):
        assert longer[: len(shorter)] == shorter
    assert lists[-1] == ["alpha", "beta", "gamma"]
