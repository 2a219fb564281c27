"""The answers to `textDocument/inlineCompletion`, by the rules both editors need."""

import asyncio

import pytest

from inkling.core import TriggerKind
from inkling.lsp import documents, inline_completion
from tests.unit.lsp.editor import URI, Editor

NOTHING: dict[str, list[object]] = {"items": []}


async def test_an_item_has_text_an_empty_range_and_the_command_for_acceptance(
    editor: Editor,
) -> None:
    await editor.start()
    editor.completer.script = lambda request: ["a, b):"]
    editor.open("x = 1\ndef add(\n")
    at = {"line": 1, "character": 8}
    assert await editor.ask_at(1, 8) == {
        "items": [
            {
                "insertText": "a, b):",
                "range": {"start": at, "end": at},
                "command": {"title": "", "command": "inkling.accepted", "arguments": ["id1"]},
            }
        ]
    }
    [request] = editor.completer.requests
    assert request.document.text == "x = 1\ndef add(\n"
    assert request.document.language == "python"
    assert request.offset == 14
    assert request.trigger is TriggerKind.AUTOMATIC


@pytest.mark.parametrize(
    ("offered", "agreed", "character"),
    [
        (["utf-8", "utf-16"], "utf-8", 8),
        (["utf-16"], "utf-16", 5),
        (["utf-32"], "utf-32", 4),
        (None, "utf-16", 5),
        (["utf-7"], "utf-16", 5),
    ],
)
async def test_positions_are_in_the_agreed_encoding(
    editor: Editor, offered: list[str] | None, agreed: str, character: int
) -> None:
    general = {"general": {"positionEncodings": offered}} if offered else {}
    await editor.start(capabilities=general)
    assert editor.capabilities["positionEncoding"] == agreed
    editor.open("é🎉= \n")
    editor.insert(0, character, "1")
    answer = await editor.ask_at(0, character + 1)
    assert answer["items"][0]["range"]["start"] == {"line": 0, "character": character + 1}
    assert editor.completer.requests[0].document.text == "é🎉= 1\n"
    assert editor.completer.requests[0].offset == 5


async def test_nothing_to_show_is_an_empty_list(editor: Editor) -> None:
    await editor.start()
    editor.completer.script = lambda request: []
    editor.open("x")
    assert await editor.ask_at(0, 1) == NOTHING
    assert (await editor.call("inkling/status", None))["reason"] == "scripted"


async def test_a_position_outside_the_document_is_its_end(editor: Editor) -> None:
    await editor.start()
    editor.open("one\ntwo")
    answer = await editor.ask_at(2_000_000_000, 7)
    assert answer["items"][0]["range"]["end"] == {"line": 1, "character": 3}
    answer = await editor.ask_at(0, 2_000_000_000)
    assert answer["items"][0]["range"]["end"] == {"line": 0, "character": 3}


async def test_a_document_that_is_not_open_gets_silence(editor: Editor) -> None:
    await editor.start()
    editor.insert(0, 0, "x")
    assert await editor.ask_at(0, 0) == NOTHING
    assert editor.server.status.report["reason"] == "document not open"
    assert editor.completer.requests == []


async def test_a_document_too_large_to_keep_gets_silence(
    editor: Editor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "KEPT_CHARS", 5)
    await editor.start()
    editor.open("too large")
    editor.insert(0, 0, "x")
    assert await editor.ask_at(0, 1) == NOTHING
    assert editor.server.status.report["reason"] == "file too large"
    assert editor.completer.requests == []


async def test_a_superseded_request_is_answered_null_and_the_newest_in_full(
    editor: Editor,
) -> None:
    await editor.start()
    never = asyncio.Event()
    editor.completer.script = lambda request: ["new"] if request.offset == 3 else [never, "old"]
    editor.open("xyz")
    oldest = editor.ask_at(0, 1)
    await editor.until(lambda: len(editor.completer.requests) == 1)
    older = editor.ask_at(0, 2)
    assert await oldest is None
    await editor.until(lambda: len(editor.completer.requests) == 2)
    newest = editor.ask_at(0, 3)
    assert await asyncio.wait_for(older, 10) is None
    assert (await newest)["items"][0]["insertText"] == "new"
    assert editor.completer.num_ended == 3


async def test_another_document_supersedes_nothing(editor: Editor) -> None:
    await editor.start()
    go_on = asyncio.Event()
    editor.completer.script = lambda request: [] if request.document.text == "b" else [go_on, "yes"]
    editor.open("a")
    editor.open("b", uri="file:///w/b.py")
    first = editor.ask_at(0, 1)
    await editor.until(lambda: len(editor.completer.requests) == 1)
    assert await editor.ask_at(0, 1, uri="file:///w/b.py") == NOTHING
    go_on.set()
    assert (await first)["items"][0]["insertText"] == "yes"


async def test_a_cancelled_request_ends_and_the_next_is_answered(editor: Editor) -> None:
    await editor.start()
    never = asyncio.Event()
    editor.completer.script = lambda request: [never]
    editor.open("x")
    asked = editor.ask_at(0, 1)
    await editor.until(lambda: len(editor.completer.requests) == 1)
    editor.cancel_last()
    with pytest.raises(RuntimeError, match="-32800"):
        await asked
    await editor.until(lambda: editor.completer.num_ended == 1)
    editor.completer.script = lambda request: ["next"]
    assert (await editor.ask_at(0, 1))["items"][0]["insertText"] == "next"


async def test_a_failure_is_silence_with_a_reason_and_no_error(editor: Editor) -> None:
    await editor.start()
    editor.completer.script = lambda request: [ValueError("broken")]
    editor.open("x")
    assert await editor.ask_at(0, 1) == NOTHING
    assert "ValueError('broken')" in editor.server.status.report["reason"]
    editor.completer.script = lambda request: ["fine"]
    assert (await editor.ask_at(0, 1))["items"][0]["insertText"] == "fine"


async def test_finished_lines_are_answered_when_patience_ends(
    editor: Editor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inline_completion, "PATIENCE_S", 0.01)
    await editor.start()
    never = asyncio.Event()
    editor.completer.script = lambda request: ["one", "one\ntwo", never, "one\ntwo\nthree"]
    editor.open("x")
    assert (await editor.ask_at(0, 1))["items"][0]["insertText"] == "one\ntwo"
    assert editor.completer.num_ended == 1


async def test_the_end_of_patience_without_text_waits_for_the_first_line(
    editor: Editor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inline_completion, "PATIENCE_S", 0.0)
    await editor.start()
    go_on, never = asyncio.Event(), asyncio.Event()
    editor.completer.script = lambda request: ["", go_on, "one", never, "one\ntwo"]
    editor.open("x")
    asked = editor.ask_at(0, 1)
    await editor.until(lambda: len(editor.completer.requests) == 1)
    await editor.call("inkling/status", None)
    assert not asked.done()
    go_on.set()
    assert (await asked)["items"][0]["insertText"] == "one"


async def test_a_completion_finished_within_patience_is_answered_whole(
    editor: Editor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inline_completion, "PATIENCE_S", 60.0)
    await editor.start()
    editor.completer.script = lambda request: ["one", "one\ntwo"]
    editor.open("x")
    assert (await editor.ask_at(0, 1))["items"][0]["insertText"] == "one\ntwo"


async def test_the_streamed_request_reports_each_growth_and_answers_the_whole(
    editor: Editor,
) -> None:
    await editor.start()
    go_on = asyncio.Event()
    editor.completer.script = lambda request: ["one", go_on, "one\ntwo"]
    editor.open("x")
    asked = editor.ask_at(0, 1, partialResultToken="t1")
    await editor.until(lambda: len(editor.received["$/progress"]) == 1)
    assert not asked.done()
    go_on.set()
    answer = await asked
    assert answer["items"][0]["insertText"] == "one\ntwo"
    reports = editor.received["$/progress"]
    assert [report["token"] for report in reports] == ["t1"] * len(reports)
    texts = [report["value"]["items"][0]["insertText"] for report in reports]
    assert texts == ["one", "one\ntwo"]
    assert reports[-1]["value"] == answer


async def test_the_streamed_request_is_superseded_too_and_then_reports_nothing(
    editor: Editor,
) -> None:
    await editor.start()
    go_on = asyncio.Event()
    editor.completer.script = lambda request: [go_on, "old"] if request.offset == 1 else ["new"]
    editor.open("xy")
    older = editor.ask_at(0, 1, partialResultToken=7)
    await editor.until(lambda: len(editor.completer.requests) == 1)
    assert (await editor.ask_at(0, 2))["items"][0]["insertText"] == "new"
    assert await older is None
    go_on.set()
    await editor.call("inkling/status", None)
    assert editor.received["$/progress"] == []


async def test_a_closed_document_ends_its_request(editor: Editor) -> None:
    await editor.start()
    never = asyncio.Event()
    editor.completer.script = lambda request: [never]
    editor.open("x")
    asked = editor.ask_at(0, 1)
    await editor.until(lambda: len(editor.completer.requests) == 1)
    editor.notify("textDocument/didClose", {"textDocument": {"uri": URI}})
    assert await asked is None
    await editor.until(lambda: editor.completer.closed_uris == [URI])
    assert await editor.ask_at(0, 1) == NOTHING


async def test_other_open_documents_are_offered_but_never_secrets(editor: Editor) -> None:
    folder = {"uri": "file:///w", "name": "w"}
    await editor.start(workspaceFolders=[folder])
    editor.open("TOKEN=1", uri="file:///w/.env", language="plaintext")
    editor.open("def helper(): ...", uri="file:///w/lib/b.py")
    editor.open("x")
    await editor.ask_at(0, 1)
    [request] = editor.completer.requests
    assert request.document.path == "src/a.py"
    assert [(other.path, other.text) for other in request.others] == [
        ("lib/b.py", "def helper(): ...")
    ]


async def test_a_text_goes_on_from_the_suggestion_chosen_in_the_menu(editor: Editor) -> None:
    await editor.start()
    editor.completer.script = lambda request: ["(a, b)"]
    editor.open("x = calc\n")
    word = {"start": {"line": 0, "character": 4}, "end": {"line": 0, "character": 8}}
    chosen = {"range": word, "text": "calculate"}
    answer = await editor.ask_at(0, 8, context={"triggerKind": 2, "selectedCompletionInfo": chosen})
    at = {"line": 0, "character": 8}
    [item] = answer["items"]
    assert (item["insertText"], item["range"]) == ("ulate(a, b)", {"start": at, "end": at})
    [request] = editor.completer.requests
    assert (request.document.text, request.offset) == ("x = calculate\n", 13)


@pytest.mark.parametrize(
    ("start", "end", "text"),
    [(4, 8, "Calculate"), (4, 8, "call"), (4, 9, "calculate"), (6, 7, "lower"), (4, 8, "calc")],
)
async def test_a_suggestion_that_changes_what_stands_there_is_passed_over(
    editor: Editor, start: int, end: int, text: str
) -> None:
    await editor.start()
    editor.open("x = calc)\n")
    word = {"start": {"line": 0, "character": start}, "end": {"line": 0, "character": end}}
    chosen = {"range": word, "text": text}
    answer = await editor.ask_at(0, 8, context={"triggerKind": 2, "selectedCompletionInfo": chosen})
    assert answer["items"][0]["insertText"] == "done"
    assert editor.completer.requests[0].document.text == "x = calc)\n"


async def test_nothing_is_shown_where_nothing_goes_on_from_the_suggestion(editor: Editor) -> None:
    await editor.start()
    editor.completer.script = lambda request: []
    editor.open("x = calc\n")
    word = {"start": {"line": 0, "character": 4}, "end": {"line": 0, "character": 8}}
    chosen = {"range": word, "text": "calculate"}
    context = {"triggerKind": 2, "selectedCompletionInfo": chosen}
    assert await editor.ask_at(0, 8, context=context) == NOTHING
