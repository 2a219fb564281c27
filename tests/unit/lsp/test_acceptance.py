"""What is counted of completions: shown once, accepted, and what is left of them later."""

import asyncio
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from lsprotocol import types

from inkling.lsp import acceptance
from inkling.lsp.acceptance import num_kept
from inkling.lsp.documents import OpenDocument
from inkling.lsp.line_index import Encoding
from inkling.statistics import Acceptance, Statistics
from tests.unit.lsp.editor import Editor


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceptance, "WRITE_S", 0.0)
    monkeypatch.setattr(acceptance, "RETENTION_S", 0.05)


async def accept(editor: Editor, item: dict[str, Any], *part: int) -> None:
    arguments = [*item["command"]["arguments"], *part]
    params = {"command": "inkling.accepted", "arguments": arguments}
    await editor.call("workspace/executeCommand", params)


async def page(editor: Editor) -> str:
    return str((await editor.call("inkling/statistics", {}))["text"])


async def until_shown(editor: Editor, row: str) -> None:
    """Wait until the page of statistics has a row."""
    for _ in range(400):
        if row in (text := await page(editor)):
            return
    raise AssertionError(f"{row!r} never came: {text}")


async def test_shown_accepted_and_kept(editor: Editor) -> None:
    await editor.start()
    editor.open("x = 1\n")
    editor.completer.script = lambda _: ["one two"]
    assert "Nothing yet" in await page(editor)
    item = (await editor.ask_at(1, 0))["items"][0]
    editor.insert(1, 0, "one two")
    await accept(editor, item)
    editor.insert(0, 0, "# above\n")  # moves it, changes nothing of it
    change = {"start": {"line": 2, "character": 3}, "end": {"line": 2, "character": 7}}
    params = {
        "textDocument": {"uri": "file:///w/src/a.py", "version": 4},
        "contentChanges": [{"range": change, "text": " 2"}],
    }
    editor.notify("textDocument/didChange", params)
    await until_shown(editor, "| python | 1 | 1 (100 %) | 4 of 7 (57 %) |")


async def test_what_the_chosen_suggestion_adds_is_not_counted(editor: Editor) -> None:
    await editor.start()
    editor.open("x = calc\n")
    editor.completer.script = lambda _: ["(a, b)"]
    word = {"start": {"line": 0, "character": 4}, "end": {"line": 0, "character": 8}}
    chosen = {"range": word, "text": "calculate"}
    context = {"triggerKind": 2, "selectedCompletionInfo": chosen}
    item = (await editor.ask_at(0, 8, context=context))["items"][0]
    assert item["insertText"] == "ulate(a, b)"
    editor.insert(0, 8, "ulate(a, b)")
    await accept(editor, item)
    await until_shown(editor, "| python | 1 | 1 (100 %) | 6 of 6 (100 %) |")


async def test_a_part_that_is_accepted_is_followed_but_no_accepted_completion(
    editor: Editor,
) -> None:
    await editor.start()
    editor.open("")
    editor.completer.script = lambda _: ["one two"]
    item = (await editor.ask_at(0, 0))["items"][0]
    editor.insert(0, 0, "one ")
    await accept(editor, item, 4)
    await until_shown(editor, "| python | 1 | 0 (0 %) | 4 of 4 (100 %) |")


async def test_what_is_streamed_may_be_accepted_before_it_is_whole(editor: Editor) -> None:
    await editor.start()
    editor.open("")
    go_on = asyncio.Event()
    editor.completer.script = lambda _: ["a\n", go_on, "a\nb\n"]
    answer = editor.ask_at(0, 0, partialResultToken="t")
    await editor.until(lambda: editor.received["$/progress"])
    item = editor.received["$/progress"][0]["value"]["items"][0]
    editor.insert(0, 0, "a\n")
    await accept(editor, item)
    go_on.set()
    await answer
    await until_shown(editor, "| python | 1 | 1 (100 %) | 2 of 2 (100 %) |")


async def test_line_ends_of_the_document_are_no_loss(editor: Editor) -> None:
    await editor.start()
    editor.open("x\r\n")
    editor.completer.script = lambda _: ["a\nb"]
    item = (await editor.ask_at(1, 0))["items"][0]
    editor.insert(1, 0, "a\r\nb")
    await accept(editor, item)
    await until_shown(editor, "4 of 4 (100 %)")


async def test_an_unknown_id_and_a_closed_document_are_ignored(editor: Editor) -> None:
    await editor.start()
    editor.open("")
    editor.completer.script = lambda _: ["one"]
    item = (await editor.ask_at(0, 0))["items"][0]
    await accept(editor, {"command": {"arguments": ["nobody"]}})
    editor.notify("textDocument/didClose", {"textDocument": {"uri": "file:///w/src/a.py"}})
    await accept(editor, item)
    await until_shown(editor, "| python | 1 | 1 (100 %) | 0 of 0 (–) |")


async def test_counts_that_cannot_be_written_cost_nothing_but_themselves(
    editor: Editor, tmp_path: Path
) -> None:
    (tmp_path / "state").write_text("in the way")
    await editor.start()
    editor.open("")
    assert (await editor.ask_at(0, 0))["items"]
    assert "Nothing yet" in await page(editor)


def test_windows_add_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    first, second, day = Statistics(), Statistics(), date(2026, 1, 2)
    first.add(day, {"go": Acceptance(1, 1, 5, 5), "c": Acceptance(9)})
    second.add(day, {"go": Acceptance(2, 0, 3, 1)})
    second.add(date(2025, 1, 1), {"go": Acceptance(100)})
    assert first.by_language(day) == {"c": Acceptance(9), "go": Acceptance(3, 1, 8, 6)}


@pytest.mark.parametrize(
    ("accepted", "now", "kept"),
    [
        ("return x", "return x", 8),
        ("return x", "return y", 7),
        ("return x", "", 0),
        ("a b", "b a", 1),
    ],
)
def test_words_are_kept_in_their_order(accepted: str, now: str, kept: int) -> None:
    assert num_kept(accepted, now) == kept


@pytest.mark.parametrize(
    ("start", "end", "new", "followed"),
    [
        (0, 2, "", "cdef"),  # before it
        (2, 2, "xy", "cdef"),  # at its start
        (6, 6, "xy", "cdef"),  # at its end
        (3, 4, "xyz", "cxyzef"),  # in it
        (0, 4, "x", "xef"),  # over its start
        (4, 8, "x", "cd"),  # over its end
        (0, 8, "x", ""),  # over all of it
    ],
)
def test_a_span_follows_edits(start: int, end: int, new: str, followed: str) -> None:
    document = OpenDocument("file:///a", "text", 1, "abcdefgh")
    span = document.follow(2, 6)
    edit = types.TextDocumentContentChangePartial(
        types.Range(types.Position(0, start), types.Position(0, end)), new
    )
    document.edit([edit], 2, Encoding("utf-16"))
    assert document.text is not None
    assert document.text[span.start : span.end] == followed
    assert document.forget(span)
    assert not document.forget(span)
