"""`inkling/writeFunction`: a function for an editor that shows it before it inserts it.

A request, so that LSP's own means end it and tell how far it is: `$/cancelRequest`, and `$/progress`
under its `workDoneToken`. Nothing here raises to the editor: what goes wrong is the answer's `message`.
"""

import logging
from typing import Any

from lsprotocol import types

from inkling.lsp.language_server import InklingServer
from inkling.lsp.protocol import FunctionPreviewParams
from inkling.lsp.write_function import WrittenFunction, written_function

logger = logging.getLogger(__name__)


async def function_preview(ls: InklingServer, params: FunctionPreviewParams) -> dict[str, Any]:
    """The function that is described at a position, as an edit that is still to be made."""
    token = params.work_done_token

    def report(
        value: types.WorkDoneProgressBegin
        | types.WorkDoneProgressReport
        | types.WorkDoneProgressEnd,
    ) -> None:
        if token is not None:
            ls.progress(types.ProgressParams(token=token, value=value))

    report(types.WorkDoneProgressBegin("Writing a function", cancellable=True))
    try:
        written = await written_function(
            ls,
            params.text_document.uri,
            params.position,
            lambda message: report(types.WorkDoneProgressReport(message=message)),
        )
    except Exception as error:
        logger.exception("writing a function failed")
        written = f"internal error: {error!r}"
    finally:
        report(types.WorkDoneProgressEnd())
    if isinstance(written, WrittenFunction):
        return {"edit": written.edit, "text": written.text, "message": ""}
    return {"edit": None, "text": "", "message": written}
