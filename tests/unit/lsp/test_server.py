"""Life, settings, status and bad input of a server."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from inkling.config import Settings
from tests.unit.lsp.editor import URI, Editor


async def test_shutdown_closes_the_completer_and_exit_ends_the_server(editor: Editor) -> None:
    await editor.start()
    assert await editor.call("shutdown", None) is None
    assert editor.completer.is_closed
    editor.notify("exit", None)
    await editor.serving
    assert editor.server.is_shut_down


async def test_an_editor_that_goes_away_ends_the_server(editor: Editor) -> None:
    await editor.start()
    await editor.stop()
    assert editor.completer.is_closed
    assert not editor.server.is_shut_down


async def test_acceptance_reaches_the_completer(editor: Editor) -> None:
    await editor.start()
    editor.open("x")
    command = (await editor.ask_at(0, 1))["items"][0]["command"]
    await editor.call(
        "workspace/executeCommand",
        {"command": command["command"], "arguments": command["arguments"]},
    )
    await editor.until(lambda: editor.completer.accepted_ids == ["id1"])


async def test_the_status_is_told_when_it_changes(editor: Editor) -> None:
    await editor.start()
    told = await editor.call("inkling/status", None)
    counters = told.pop("counters")
    assert told.pop("log").endswith("engine.log")
    assert told == {"state": "starting", "model": "", "kind": "", "reason": "", "where": ""}
    assert counters["requests"] == counters["ahead_tokens"] == 0
    editor.open("x")
    await editor.ask_at(0, 1)
    await editor.ask_at(0, 1)
    about = {"model": "Fake model", "kind": "fake", "where": "this machine"}
    ready = {"state": "ready", **about, "reason": ""}
    told = await editor.call("inkling/status", None)
    assert {**told, **ready} == told
    assert editor.received["inkling/didChangeStatus"] == [ready]


@pytest.mark.parametrize("wrap", [lambda it: it, lambda it: {"inkling": it}])
async def test_initialization_options_are_settings(editor: Editor, wrap: Any) -> None:
    await editor.start(initializationOptions=wrap({"debounce_ms": 40}))
    assert editor.completer.settings == Settings(debounce_ms=40)


async def test_changed_settings_hold_from_then_on_and_bad_ones_are_shown_once(
    editor: Editor,
) -> None:
    await editor.start(initializationOptions={"debounce_ms": 40})
    completer = editor.completer

    async def change(options: Any) -> None:
        before = completer.settings
        editor.notify("workspace/didChangeConfiguration", {"settings": {"inkling": options}})
        await editor.until(lambda: completer.settings is not before)

    await change({"debounce_ms": 60, "enabled": False})
    assert completer.settings == Settings(debounce_ms=60, enabled=False)
    await change({"debounce_ms": -1})
    assert completer.settings == Settings()
    await change({"debounce_ms": -1, "line_tokens": 9})
    assert completer.settings == Settings(line_tokens=9)
    [shown] = editor.received["window/showMessage"]
    assert shown["type"] == 2
    assert shown["message"].startswith("editor options: debounce_ms cannot be -1 ")


async def test_settings_follow_the_first_workspace_folder(editor: Editor, tmp_path: Path) -> None:
    folders = []
    for number in (1, 2):
        root = tmp_path / f"root{number}"
        (root / ".inkling").mkdir(parents=True)
        (root / ".inkling" / "config.toml").write_text(f"debounce_ms = {number}")
        folders.append({"uri": root.as_uri(), "name": root.name})
    await editor.start(workspaceFolders=folders[:1])
    assert editor.completer.settings.debounce_ms == 1
    editor.notify(
        "workspace/didChangeWorkspaceFolders",
        {"event": {"added": folders[1:], "removed": folders[:1]}},
    )
    await editor.until(lambda: editor.completer.settings.debounce_ms == 2)


async def test_the_root_uri_serves_where_there_are_no_workspace_folders(
    editor: Editor, tmp_path: Path
) -> None:
    await editor.start(rootUri=tmp_path.as_uri())
    editor.open("x", uri=(tmp_path / "lib" / "a.py").as_uri())
    await editor.ask_at(0, 1, uri=(tmp_path / "lib" / "a.py").as_uri())
    assert editor.completer.requests[0].document.path == "lib/a.py"


async def test_invalid_utf8_in_an_edit_costs_its_bytes_and_not_the_edit(editor: Editor) -> None:
    await editor.start()
    editor.open("x = \n")
    at = {"line": 0, "character": 4}
    change = {"range": {"start": at, "end": at}, "text": "BYTES"}
    params = {"textDocument": {"uri": URI, "version": 2}, "contentChanges": [change]}
    message = {"jsonrpc": "2.0", "method": "textDocument/didChange", "params": params}
    editor.send_bytes(json.dumps(message).encode().replace(b"BYTES", b"'\xff\xfe'"))
    await editor.ask_at(0, 8)
    assert editor.completer.requests[0].document.text == "x = '\ufffd\ufffd'\n"
    assert editor.completer.requests[0].offset == 8


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe\x00", b"[]", b'"text"', b"null", b"{}"])
async def test_a_body_that_is_no_message_is_passed_over(editor: Editor, body: bytes) -> None:
    await editor.start()
    editor.send_bytes(body)
    editor.open("x")
    assert (await editor.ask_at(0, 1))["items"]
    assert editor.received["window/showMessage"] == []


async def test_a_malformed_request_is_refused_and_the_next_answered(editor: Editor) -> None:
    await editor.start()
    editor.open("x")
    for params in ({"textDocument": {"uri": URI}}, {"position": {"line": -1, "character": 0}}, 5):
        with pytest.raises(RuntimeError, match="-32602.*inlineCompletion are malformed"):
            await editor.call("textDocument/inlineCompletion", params)
    with pytest.raises(RuntimeError, match="-32602.*inlineCompletion are malformed"):
        await editor.call("inkling/inlineCompletion", None)
    with pytest.raises(RuntimeError, match="-32601"):
        await editor.call("inkling/unknown", {})
    assert (await editor.ask_at(0, 1))["items"]


async def test_the_editors_text_survives_what_pygls_lines_would_break(editor: Editor) -> None:
    await editor.start()
    editor.open("a\x0cb\u2028c\rd\n")
    editor.insert(1, 0, "X")
    await editor.ask_at(1, 1)
    [request] = editor.completer.requests
    assert request.document.text == "a\x0cb\u2028c\rXd\n"
    assert request.document.text[: request.offset] == "a\x0cb\u2028c\rX"
    assert editor.server.workspace.text_documents == {}, "pygls keeps no second copy"


def test_what_answers_initialize_loads_nothing_slow() -> None:
    code = "import inkling.lsp.wiring, inkling.lsp.server, sys; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(ran.stdout.split())
    assert "pygls.lsp.server" in loaded
    assert not loaded & {"pydantic", "aiohttp", "tiktoken", "tree_sitter", "regex"}
