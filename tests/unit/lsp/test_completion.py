"""`textDocument/completion`, for clients that have no inline completion."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from inkling.core import Completion, CompletionRequest, TriggerKind
from tests.unit.lsp.editor import URI, Editor

NOTHING: dict[str, Any] = {"isIncomplete": True, "items": []}
BY_WORD, BY_CHARACTER = 1, 2  # also 1: asked by hand


def ask(editor: Editor, line: int, character: int, kind: int = BY_WORD) -> asyncio.Future[Any]:
    params = {
        "textDocument": {"uri": URI},
        "position": {"line": line, "character": character},
        "context": {"triggerKind": kind},
    }
    return editor.ask("textDocument/completion", params)


@pytest.mark.parametrize("announced", [{}, {"dynamicRegistration": False}, None])  # None: lsp-mode
async def test_only_clients_without_inline_completion_are_offered_it(
    editor: Editor, announced: dict[str, Any] | None
) -> None:
    await editor.start(capabilities={"textDocument": {"inlineCompletion": announced}})
    assert "completionProvider" not in editor.capabilities
    assert "inlineCompletionProvider" in editor.capabilities
    with pytest.raises(RuntimeError, match="-32601"):
        await ask(editor, 0, 0)


@pytest.mark.parametrize("capabilities", [{}, {"textDocument": {"completion": {}}}])
async def test_a_client_with_a_menu_is_offered_completion(
    editor: Editor, capabilities: dict[str, Any]
) -> None:
    await editor.start(capabilities=capabilities)
    offered = editor.capabilities["completionProvider"]
    assert not offered["resolveProvider"]
    # Enter and Tab would accept what these bring up.
    assert not {"\n", "\t"} & {*offered["triggerCharacters"]}


async def test_an_item_stands_for_the_word_before_the_cursor_and_the_text(editor: Editor) -> None:
    await editor.start()
    editor.completer.script = lambda request: ["urn a + b"]
    editor.open("def add(a, b):\n    ret\n")
    answer = await ask(editor, 1, 7)
    assert answer == {
        "isIncomplete": True,
        "items": [
            {
                "label": "return a + b",
                "kind": 1,
                "detail": "Inkling",
                "documentation": {"kind": "plaintext", "value": "return a + b"},
                "preselect": False,
                "sortText": "!0",
                "filterText": "return a + b",
                "insertTextFormat": 1,
                "insertTextMode": 1,
                "textEdit": {
                    "range": {
                        "start": {"line": 1, "character": 4},
                        "end": {"line": 1, "character": 7},
                    },
                    "newText": "return a + b",
                },
                "command": {"title": "", "command": "inkling.accepted", "arguments": ["id1"]},
            }
        ],
    }
    [request] = editor.completer.requests
    assert request.offset == 22
    assert request.trigger is TriggerKind.AUTOMATIC


async def test_where_there_is_no_word_the_range_is_empty(editor: Editor) -> None:
    await editor.start()
    editor.completer.script = lambda request: ["b)"]
    editor.open("add(a, ")
    [item] = (await ask(editor, 0, 7, BY_CHARACTER))["items"]
    at = {"line": 0, "character": 7}
    assert item["textEdit"] == {"range": {"start": at, "end": at}, "newText": "b)"}
    assert item["label"] == item["filterText"] == "b)"


async def test_a_label_is_one_short_line_and_the_whole_is_in_the_documentation(
    editor: Editor,
) -> None:
    markdown = {"completion": {"completionItem": {"documentationFormat": ["markdown"]}}}
    await editor.start(capabilities={"textDocument": markdown})
    editor.open("")
    text = f"\n    return {'x' * 80}\n    ```"
    editor.completer.script = lambda request: [text]
    [item] = (await ask(editor, 0, 0))["items"]
    assert item["label"] == f"return {'x' * 53}…"
    assert item["filterText"] == f"return {'x' * 80}"
    assert item["textEdit"]["newText"] == text
    documentation = f"````python\n{text}\n````"
    assert item["documentation"] == {"kind": "markdown", "value": documentation}


async def test_a_short_first_line_of_more_lines_says_that_there_is_more(editor: Editor) -> None:
    await editor.start()
    editor.completer.script = lambda request: ["one:\r\n    two"]
    editor.open("")
    [item] = (await ask(editor, 0, 0))["items"]
    assert (item["label"], item["filterText"]) == ("one:…", "one:")


@pytest.mark.parametrize(
    ("encoding", "start", "cursor"), [("utf-8", 8, 12), ("utf-16", 5, 8), ("utf-32", 4, 7)]
)
async def test_the_range_is_in_the_agreed_encoding(
    editor: Editor, encoding: str, start: int, cursor: int
) -> None:
    await editor.start(capabilities={"general": {"positionEncodings": [encoding]}})
    editor.completer.script = lambda request: ["é()"]
    editor.open("é🎉= réa\n")
    [item] = (await ask(editor, 0, cursor))["items"]
    assert item["textEdit"] == {
        "range": {
            "start": {"line": 0, "character": start},
            "end": {"line": 0, "character": cursor},
        },
        "newText": "réaé()",
    }
    assert editor.completer.requests[0].offset == 7


async def test_only_a_request_that_typing_cannot_explain_is_by_hand(editor: Editor) -> None:
    await editor.start()
    editor.open("x = ab\n")
    await ask(editor, 0, 6, BY_WORD)
    await ask(editor, 0, 4, BY_CHARACTER)
    await ask(editor, 1, 0, BY_WORD)
    await editor.call(
        "textDocument/completion",
        {"textDocument": {"uri": URI}, "position": {"line": 1, "character": 0}},
    )
    automatic, by_hand = (TriggerKind.AUTOMATIC, 0), (TriggerKind.INVOKED, 2)
    asked = [(it.trigger, it.num_alternatives) for it in editor.completer.requests]
    assert asked == [automatic, automatic, by_hand, automatic]


async def test_alternatives_keep_their_order_where_a_client_sorts(
    editor: Editor, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def complete(request: CompletionRequest) -> AsyncGenerator[Completion, None]:
        others = (Completion("2", 0, "b", is_final=True), Completion("3", 0, "a", is_final=True))
        yield Completion("1", 0, "c", is_final=True, alternatives=others)

    await editor.start()
    monkeypatch.setattr(editor.completer, "complete", complete)
    editor.open("")
    items = (await ask(editor, 0, 0))["items"]
    assert [it["command"]["arguments"] for it in items] == [["1"], ["2"], ["3"]]
    assert sorted(items, key=lambda it: it["sortText"]) == items


async def test_nothing_to_show_is_an_incomplete_list_with_a_reason(editor: Editor) -> None:
    await editor.start()
    editor.completer.script = lambda request: []
    editor.open("x")
    assert await ask(editor, 0, 1) == NOTHING
    assert (await editor.call("inkling/status", None))["reason"] == "scripted"


async def test_a_document_that_is_not_open_gets_silence(editor: Editor) -> None:
    await editor.start()
    assert await ask(editor, 0, 1) == NOTHING
    assert editor.server.status.report["reason"] == "document not open"


async def test_a_failure_is_silence_and_no_error(editor: Editor) -> None:
    await editor.start()
    editor.completer.script = lambda request: [ValueError("broken")]
    editor.open("x")
    assert await ask(editor, 0, 1) == NOTHING


async def test_a_superseded_request_is_an_incomplete_list_without_items(editor: Editor) -> None:
    await editor.start()
    never = asyncio.Event()
    editor.completer.script = lambda request: ["new"] if request.offset == 2 else [never]
    editor.open("xy")
    older = ask(editor, 0, 1)
    await editor.until(lambda: len(editor.completer.requests) == 1)
    newest = ask(editor, 0, 2)
    assert await asyncio.wait_for(older, 10) == NOTHING
    assert (await newest)["items"][0]["label"] == "xynew"


async def test_finished_lines_are_answered_when_patience_ends(
    editor: Editor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inkling.lsp.completion.PATIENCE_S", 0.01)
    await editor.start()
    never = asyncio.Event()
    editor.completer.script = lambda request: ["one", never, "one\ntwo"]
    editor.open("")
    answer = await asyncio.wait_for(ask(editor, 0, 0, BY_CHARACTER), 10)
    assert answer["items"][0]["label"] == "one"


async def test_kate_sends_no_context_and_gets_plain_text(editor: Editor) -> None:
    item = {
        "snippetSupport": True,
        "resolveSupport": {"properties": ["additionalTextEdits", "documentation"]},
    }
    capabilities = {"textDocument": {"completion": {"completionItem": item}}}
    await editor.start(capabilities=capabilities, rootPath="/w", initializationOptions={})
    editor.completer.script = lambda request: ["nt(x)"]
    editor.open("pri")
    answer = await editor.call(
        "textDocument/completion",
        {"textDocument": {"uri": URI}, "position": {"line": 0, "character": 3}},
    )
    assert answer["items"][0]["textEdit"]["newText"] == "print(x)"
    assert answer["items"][0]["documentation"]["kind"] == "plaintext"
