"""`inkling.writeFunction` over the real server and engine, as an editor sends it."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from lsprotocol import types
from pytest_lsp import ClientServerConfig, LanguageClient

pytestmark = pytest.mark.e2e

CAPABILITIES = types.ClientCapabilities(
    window=types.WindowClientCapabilities(work_done_progress=True),
    workspace=types.WorkspaceClientCapabilities(
        apply_edit=True,
        workspace_edit=types.WorkspaceEditClientCapabilities(document_changes=True),
    ),
)
TEXT = (
    'import os\n\n\ndef file_size(path):\n    """Size of a file in bytes."""\n    ...\n\n\nx = 1\n'
)


@pytest.fixture
async def client(runtime: Path) -> AsyncIterator[LanguageClient]:
    """A client that has shaken hands with a server whose engine and settings are this test's own."""
    command = [sys.executable, "-m", "inkling", "lsp"]
    client = await ClientServerConfig(server_command=command).start()
    assert isinstance(client, LanguageClient)
    yield client
    await client.shutdown_session()
    stop: Callable[[], Awaitable[None]] = client.stop
    await stop()


@pytest.mark.parametrize("engine", [{}, {"engine": {"model": "stub"}}])
async def test_a_function_is_written_from_its_signature(
    client: LanguageClient, tmp_path: Path, engine: dict[str, Any]
) -> None:
    applied: asyncio.Future[types.ApplyWorkspaceEditParams] = asyncio.Future()

    def apply(params: types.ApplyWorkspaceEditParams) -> types.ApplyWorkspaceEditResult:
        applied.set_result(params)
        return types.ApplyWorkspaceEditResult(applied=True)

    client.feature(types.WORKSPACE_APPLY_EDIT)(apply)
    root = types.WorkspaceFolder(tmp_path.as_uri(), "work")
    await client.initialize_session(
        types.InitializeParams(
            capabilities=CAPABILITIES, workspace_folders=[root], initialization_options=engine
        )
    )
    uri = (tmp_path / "sizes.py").as_uri()
    item = types.TextDocumentItem(uri, "python", 1, TEXT)
    client.text_document_did_open(types.DidOpenTextDocumentParams(item))
    at = types.Position(4, 37)
    actions = await client.text_document_code_action_async(
        types.CodeActionParams(
            text_document=types.TextDocumentIdentifier(uri),
            range=types.Range(at, at),
            context=types.CodeActionContext(diagnostics=[]),
        )
    )
    assert [action.title for action in actions or ()] == ["Inkling: write this function"]
    where: list[Any] = [uri, {"line": at.line, "character": at.character}]
    await client.workspace_execute_command_async(
        types.ExecuteCommandParams("inkling.writeFunction", where)
    )
    params = await asyncio.wait_for(applied, 120)
    assert params.edit.document_changes is not None
    [change] = params.edit.document_changes
    assert isinstance(change, types.TextDocumentEdit)
    assert (change.text_document.uri, change.text_document.version) == (uri, 1)
    [edit] = change.edits
    assert isinstance(edit, types.TextEdit)
    assert edit.range == types.Range(
        types.Position(4, len('    """Size of a file in bytes."""')), types.Position(5, 7)
    )
    assert edit.new_text.startswith("\n    ")
    lines = TEXT.split("\n")
    compile("\n".join(lines[:5]) + edit.new_text + "\n".join(["", *lines[6:]]), "sizes.py", "exec")
    assert not client.messages
