"""`inkling.writeFunction` and its code action, as an editor meets them."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from inkling.core import Chunk
from inkling.lsp.write_function import EDITED_MEANWHILE, TITLE
from tests.unit.lsp.editor import URI, Editor

PLACE = {"line": 0, "character": 12}
WITH_PROGRESS: dict[str, Any] = {
    "window": {"workDoneProgress": True},
    "workspace": {"applyEdit": True, "workspaceEdit": {"documentChanges": True}},
}


class WritingEditor(Editor):
    """Answers what the server asks of an editor: progress is made room for, and an edit is applied
    unless `refuses`."""

    refuses = False

    def _take(self, message: dict[str, Any]) -> None:
        if "method" not in message or "id" not in message:
            super()._take(message)
            return
        self.received[message["method"]].append(message["params"])
        is_edit = message["method"] == "workspace/applyEdit"
        result = {"applied": not self.refuses} if is_edit else None
        answer = {"jsonrpc": "2.0", "id": message["id"], "result": result}
        self.send_bytes(json.dumps(answer).encode())

    def write(self, position: dict[str, int] = PLACE, uri: str = URI) -> Any:
        params = {"command": "inkling.writeFunction", "arguments": [uri, position]}
        return self.call("workspace/executeCommand", params)

    async def actions(self, character: int = 12, **context: Any) -> list[Any]:
        at = {"line": 0, "character": character}
        params = {
            "textDocument": {"uri": URI},
            "range": {"start": at, "end": at},
            "context": {"diagnostics": [], **context},
        }
        found: list[Any] = await self.call("textDocument/codeAction", params)
        return found

    @property
    def messages(self) -> list[str]:
        return [it["message"] for it in self.received["window/showMessage"]]

    @property
    def progress(self) -> list[Any]:
        return [it["value"] for it in self.received["$/progress"]]


@pytest.fixture
async def editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[WritingEditor]:
    """An editor and its server, not yet started."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    editor = WritingEditor()
    yield editor
    await editor.stop()


async def open_with(editor: WritingEditor, **capabilities: Any) -> None:
    await editor.start(capabilities=capabilities or WITH_PROGRESS)
    editor.open("# a function\nx = 1\n")


async def test_the_function_arrives_as_one_edit_of_the_version_asked_about(
    editor: WritingEditor,
) -> None:
    await open_with(editor)
    editor.completer.script = lambda _: ["\ndef f():", "\ndef f():\n    return 1"]
    assert await editor.write() is None
    await editor.until(lambda: editor.received["workspace/applyEdit"])
    [applied] = editor.received["workspace/applyEdit"]
    assert applied["label"] == "Write function"
    [change] = applied["edit"]["documentChanges"]
    assert change["textDocument"] == {"uri": URI, "version": 1}
    [edit] = change["edits"]
    assert edit == {"range": {"start": PLACE, "end": PLACE}, "newText": "\ndef f():\n    return 1"}
    await editor.until(lambda: len(editor.progress) == 4)
    begin, *reports, end = editor.progress
    assert (begin["kind"], begin["cancellable"], end["kind"]) == ("begin", True, "end")
    assert [it["message"] for it in reports] == ["2 lines", "3 lines"]
    assert editor.messages == []


async def test_an_editor_without_versions_and_progress_gets_the_edit_alone(
    editor: WritingEditor,
) -> None:
    await open_with(editor, workspace={"applyEdit": True})
    editor.completer.script = lambda _: ["\ndef f(): pass"]
    await editor.write()
    await editor.until(lambda: editor.received["workspace/applyEdit"])
    [applied] = editor.received["workspace/applyEdit"]
    assert list(applied["edit"]["changes"]) == [URI]
    assert not editor.progress
    assert not editor.received["window/workDoneProgress/create"]


async def test_why_nothing_is_written_is_one_sentence(editor: WritingEditor) -> None:
    await open_with(editor)
    editor.completer.script = lambda _: []
    await editor.write()
    await editor.until(lambda: editor.messages)
    editor.completer.script = lambda _: [RuntimeError("oh")]
    await editor.write()
    await editor.until(lambda: len(editor.messages) == 2)
    await editor.write(uri="file:///nowhere.py")
    await editor.until(lambda: len(editor.messages) == 3)
    assert editor.messages == [
        "Inkling: scripted",
        "Inkling: internal error: RuntimeError('oh')",
        "Inkling: this document is not open, or too large.",
    ]
    assert not editor.received["workspace/applyEdit"]


async def test_an_edit_meanwhile_is_not_written_over(editor: WritingEditor) -> None:
    await open_with(editor)
    go_on = asyncio.Event()
    editor.completer.script = lambda _: ["\ndef f(): pass", go_on]
    await editor.write()
    await editor.until(lambda: editor.completer.requests)
    editor.insert(1, 0, "y = 2\n")
    await editor.actions()  # the server has followed the edit
    go_on.set()
    await editor.until(lambda: editor.messages)
    assert editor.messages == [f"Inkling: {EDITED_MEANWHILE}"]
    assert not editor.received["workspace/applyEdit"]


async def test_a_refused_edit_is_told(editor: WritingEditor) -> None:
    await open_with(editor)
    editor.refuses = True
    editor.completer.script = lambda _: ["\ndef f(): pass"]
    await editor.write()
    await editor.until(lambda: editor.messages)
    assert "did not insert" in editor.messages[0]


async def test_cancelling_the_progress_ends_the_work_in_silence(editor: WritingEditor) -> None:
    await open_with(editor)
    editor.completer.script = lambda _: ["\ndef f(): pass", asyncio.Event()]
    await editor.write()
    await editor.until(lambda: len(editor.progress) == 2)
    token = editor.received["$/progress"][0]["token"]
    editor.notify("window/workDoneProgress/cancel", {"token": token})
    await editor.until(lambda: editor.completer.num_ended == 1)
    await editor.until(lambda: editor.progress[-1]["kind"] == "end")
    assert not editor.messages
    assert not editor.received["workspace/applyEdit"]
    assert not editor.server.functions


async def test_a_second_call_supersedes_the_first(editor: WritingEditor) -> None:
    await open_with(editor)
    editor.completer.script = lambda _: ["\ndef f(): pass", asyncio.Event()]
    await editor.write()
    await editor.until(lambda: editor.completer.requests)
    editor.completer.script = lambda _: ["\ndef g(): pass"]
    await editor.write()
    await editor.until(lambda: editor.received["workspace/applyEdit"])
    assert editor.completer.num_ended == 2
    assert "def g" in str(editor.received["workspace/applyEdit"])
    assert not editor.messages


async def test_closing_the_document_ends_the_work(editor: WritingEditor) -> None:
    await open_with(editor)
    editor.completer.script = lambda _: [asyncio.Event()]
    await editor.write()
    await editor.until(lambda: editor.completer.requests)
    editor.notify("textDocument/didClose", {"textDocument": {"uri": URI}})
    await editor.until(lambda: editor.completer.num_ended == 1)


async def test_the_action_is_offered_where_a_function_is_described(editor: WritingEditor) -> None:
    await open_with(editor)
    [action] = await editor.actions()
    assert (action["title"], action["kind"]) == (TITLE, "refactor.rewrite")
    assert action["command"]["command"] == "inkling.writeFunction"
    assert action["command"]["arguments"] == [URI, PLACE]
    assert await editor.actions(character=3) == []
    assert await editor.actions(only=["quickfix"]) == []
    assert len(await editor.actions(only=["refactor"])) == 1
    provider = editor.capabilities["codeActionProvider"]
    assert provider["codeActionKinds"] == ["refactor.rewrite"]
    assert "inkling.writeFunction" in editor.capabilities["executeCommandProvider"]["commands"]


async def test_other_open_documents_are_offered_as_context(editor: WritingEditor) -> None:
    await open_with(editor)
    editor.open("def helper(): pass\n", uri="file:///w/src/b.py")
    editor.insert(0, 0, "# new\n", uri="file:///w/src/b.py")
    await editor.write()
    await editor.until(lambda: editor.completer.requests)
    [request] = editor.completer.requests
    assert [it.path for it in request.others] == ["b.py"]
    assert all(isinstance(it, Chunk) for it in request.recent)
