"""`inkling/writeFunction`: a function as an edit that the editor makes itself."""

import asyncio
from typing import Any

import pytest

from tests.unit.lsp.editor import URI, Editor

PLACE = {"line": 0, "character": 12}


async def open_with(editor: Editor, *script: Any) -> None:
    await editor.start(capabilities={"workspace": {"workspaceEdit": {"documentChanges": True}}})
    editor.open("# a function\nx = 1\n")
    editor.completer.script = lambda _: script


def ask(editor: Editor, uri: str = URI, **token: str) -> Any:
    params = {"textDocument": {"uri": uri}, "position": PLACE, **token}
    return editor.ask("inkling/writeFunction", params)


async def test_the_answer_is_the_edit_and_progress_tells_how_far_it_is(editor: Editor) -> None:
    await open_with(editor, "\ndef f():", "\ndef f():\n    return 1")
    answer = await ask(editor, workDoneToken="t")
    assert answer["text"] == "def f():\n    return 1"
    assert answer["message"] == ""
    [change] = answer["edit"]["documentChanges"]
    assert change["textDocument"] == {"uri": URI, "version": 1}
    assert [it["newText"] for it in change["edits"]] == ["\ndef f():\n    return 1"]
    told = [it["value"] for it in editor.received["$/progress"]]
    assert [it.get("message", it["kind"]) for it in told] == ["begin", "2 lines", "3 lines", "end"]
    assert not editor.received["workspace/applyEdit"]


async def test_why_there_is_none_is_a_sentence(editor: Editor) -> None:
    await open_with(editor)
    nothing = {"edit": None, "text": ""}
    assert await ask(editor) == {**nothing, "message": "scripted"}
    closed = "this document is not open, or too large."
    assert await ask(editor, "file:///b.py") == {**nothing, "message": closed}
    editor.completer.script = lambda _: [RuntimeError("oh")]
    assert "oh" in (await ask(editor))["message"]


async def test_cancelling_ends_the_writing(editor: Editor) -> None:
    await open_with(editor, "\ndef f():", asyncio.Event())
    asking = ask(editor, workDoneToken="t")
    await editor.until(lambda: len(editor.received["$/progress"]) == 2)
    editor.cancel_last()
    await editor.until(lambda: editor.completer.num_ended == 1)
    await editor.until(lambda: editor.received["$/progress"][-1]["value"]["kind"] == "end")
    with pytest.raises(RuntimeError):
        await asking


async def test_the_pages(editor: Editor) -> None:
    await editor.start()
    assert await editor.call("inkling/trace", {}) == {"text": "# What was sent"}
    assert "Nothing yet" in (await editor.call("inkling/statistics", {}))["text"]
