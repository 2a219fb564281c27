"""`inkling.writeFunction`: a whole function from a comment or a signature, and the code action for it.

The command is answered at once. What is written arrives as one `workspace/applyEdit`, for the version
of the document that was asked about; the editor shows the progress and may cancel. Nothing here
raises to the editor: what goes wrong is one sentence in `window/showMessage`.
"""

import asyncio
import contextlib
import logging
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lsprotocol import types
from pygls.exceptions import JsonRpcException

from inkling.core import CompletionRequest, TriggerKind
from inkling.lsp.documents import OpenDocument
from inkling.lsp.inline_completion import others_of
from inkling.lsp.language_server import InklingServer

if TYPE_CHECKING:
    from inkling.function.author import FunctionWriting

WRITE_FUNCTION = "inkling.writeFunction"
FUNCTION_KIND = types.CodeActionKind.RefactorRewrite
TITLE = "Inkling: write this function"
LABEL = "Write function"
EDITED_MEANWHILE = (
    "the document was edited while the function was written, so nothing was inserted: ask again."
)
# An editor that has not made room for progress by then gets none.
PROGRESS_PATIENCE_S = 2.0

logger = logging.getLogger(__name__)


async def function_action(
    ls: InklingServer, params: types.CodeActionParams
) -> list[types.CodeAction]:
    """The action where a function is described, none elsewhere. Asks no model."""
    only = params.context.only
    if only and not any(_is_within(FUNCTION_KIND.value, _kind(it)) for it in only):
        return []
    document = ls.documents.use(params.text_document.uri)
    if document is None or document.text is None:
        return []
    at = params.range.end
    offset = document.offset_at(at, ls.encoding)
    try:
        completer = await ls.completer()
        if not await completer.describes_function(document.snapshot(ls.roots), offset):
            return []
    except Exception:
        logger.exception("looking for a described function failed")
        return []
    command = types.Command(
        title=TITLE, command=WRITE_FUNCTION, arguments=[params.text_document.uri, at]
    )
    return [types.CodeAction(title=TITLE, kind=FUNCTION_KIND, command=command)]


def write_function(ls: InklingServer, uri: str, position: types.Position) -> None:
    """Begin to write the function that is described at a position. An older one of the document
    that is still being written ends."""
    if older := ls.functions.get(uri):
        older.cancel()
    task = ls.functions[uri] = ls.start(_write_function(ls, uri, position))

    def forget(ended: asyncio.Task[None]) -> None:
        if ls.functions.get(uri) is ended:
            del ls.functions[uri]

    task.add_done_callback(forget)


async def _write_function(ls: InklingServer, uri: str, position: types.Position) -> None:
    try:
        problem = await _problem_with(ls, uri, position)
    except Exception as error:
        logger.exception("writing a function failed")
        problem = f"internal error: {error!r}"
    if problem:
        params = types.ShowMessageParams(types.MessageType.Warning, f"Inkling: {problem}")
        ls.window_show_message(params)


async def _problem_with(ls: InklingServer, uri: str, position: types.Position) -> str:
    """Write and insert a function; a sentence that says why that could not be, "" if it was."""
    async with _progress(ls) as report:
        written = await written_function(ls, uri, position, report)
    if isinstance(written, str):
        return written
    document, version = written.document, written.document.version
    answer = await ls.workspace_apply_edit_async(
        types.ApplyWorkspaceEditParams(written.edit, LABEL)
    )
    if answer.applied:
        return ""
    has_changed = document.version != version
    refused = f"the editor did not insert the function: {answer.failure_reason or 'no reason'}."
    return EDITED_MEANWHILE if has_changed else refused


@dataclass(frozen=True)
class WrittenFunction:
    """A function that is still to be inserted: `edit` is for the document's version of now. `text` is
    the function alone, without the imports it needs."""

    document: OpenDocument
    edit: types.WorkspaceEdit
    text: str


async def written_function(
    ls: InklingServer, uri: str, position: types.Position, report: Callable[[str], None]
) -> WrittenFunction | str:
    """Write the function that is described at a position, or say in a sentence why there is none.

    `report` is called with the progress.
    """
    document = ls.documents.use(uri)
    if document is None or document.text is None:
        return "this document is not open, or too large."
    offset, snapshot = document.offset_at(position, ls.encoding), document.snapshot(ls.roots)
    others, recent = others_of(ls, uri)
    request = CompletionRequest(snapshot, offset, TriggerKind.INVOKED, others, recent)
    completer = await ls.completer()
    writing = None
    async with contextlib.aclosing(completer.write_function(request)) as states:
        async for writing in states:
            if writing.num_lines:
                report(f"{writing.num_lines} line{'s' * (writing.num_lines > 1)}")
    if writing is None or not writing.edits:
        return writing.silence if writing is not None else "nothing was written."
    if ls.documents.get(uri) is not document or document.version != snapshot.version:
        return EDITED_MEANWHILE
    text = writing.edits[-1].text.strip("\r\n")
    return WrittenFunction(document, _workspace_edit(ls, document, writing), text)


def _workspace_edit(
    ls: InklingServer, document: OpenDocument, writing: "FunctionWriting"
) -> types.WorkspaceEdit:
    edits = [
        types.TextEdit(
            types.Range(
                document.position_at(edit.start, ls.encoding),
                document.position_at(edit.end, ls.encoding),
            ),
            edit.text,
        )
        for edit in writing.edits
    ]
    workspace = ls.client_capabilities.workspace
    known = workspace.workspace_edit if workspace is not None else None
    if known is None or not known.document_changes:
        return types.WorkspaceEdit(changes={document.uri: edits})
    identifier = types.OptionalVersionedTextDocumentIdentifier(document.uri, document.version)
    return types.WorkspaceEdit(document_changes=[types.TextDocumentEdit(identifier, list(edits))])


@contextlib.asynccontextmanager
async def _progress(ls: InklingServer) -> AsyncIterator[Callable[[str], None]]:
    """Report progress, as far as the editor shows it. Who cancels it there cancels this task."""
    token = f"inkling-{uuid.uuid4().hex}"
    if not await _shows_progress(ls, token):
        yield lambda message: None
        return
    progress = ls.work_done_progress
    task = asyncio.current_task()
    progress.tokens[token].add_done_callback(lambda _: task.cancel() if task else None)
    begin = types.WorkDoneProgressBegin("Writing a function", cancellable=True)
    progress.begin(token, begin)
    shown = ""

    def report(message: str) -> None:
        nonlocal shown
        if message != shown:
            shown = message
            progress.report(token, types.WorkDoneProgressReport(message=message))

    try:
        yield report
    finally:
        del progress.tokens[token]
        progress.end(token, types.WorkDoneProgressEnd())


async def _shows_progress(ls: InklingServer, token: str) -> bool:
    """Whether the editor has made room for progress under a token."""
    window = ls.client_capabilities.window
    if window is None or not window.work_done_progress:
        return False
    try:
        await asyncio.wait_for(ls.work_done_progress.create_async(token), PROGRESS_PATIENCE_S)
    except (JsonRpcException, TimeoutError) as error:
        logger.warning("the editor shows no progress: %r", error)
        return False
    return True


def _kind(kind: types.CodeActionKind | str) -> str:
    return kind.value if isinstance(kind, types.CodeActionKind) else kind


def _is_within(kind: str, asked: str) -> bool:
    """Whether a kind of action is one that is asked for: kinds are hierarchical, by dots."""
    return not asked or kind == asked or kind.startswith(f"{asked}.")
