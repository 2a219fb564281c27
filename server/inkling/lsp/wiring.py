"""Which function answers which message."""

from collections.abc import Callable
from typing import Any

from lsprotocol import types

from inkling.lsp.accepted import accepted
from inkling.lsp.function_preview import function_preview
from inkling.lsp.inline_completion import inline_completion
from inkling.lsp.language_server import InklingServer, MakeCompleter
from inkling.lsp.lifecycle import (
    did_change_configuration,
    did_change_workspace_folders,
    initialize,
    initialized,
    shutdown,
)
from inkling.lsp.pages import statistics, trace
from inkling.lsp.protocol import (
    ACCEPTED,
    FUNCTION_PREVIEW,
    STATISTICS,
    STATUS,
    STREAMED_INLINE_COMPLETION,
    TRACE,
)
from inkling.lsp.status import status
from inkling.lsp.streaming import streamed_inline_completion
from inkling.lsp.synchronization import did_change, did_close, did_open
from inkling.lsp.write_function import (
    FUNCTION_KIND,
    WRITE_FUNCTION,
    function_action,
    write_function,
)

FEATURES: dict[str, Callable[..., Any]] = {
    types.INITIALIZE: initialize,
    types.INITIALIZED: initialized,
    types.SHUTDOWN: shutdown,
    types.TEXT_DOCUMENT_DID_OPEN: did_open,
    types.TEXT_DOCUMENT_DID_CHANGE: did_change,
    types.TEXT_DOCUMENT_DID_CLOSE: did_close,
    types.WORKSPACE_DID_CHANGE_CONFIGURATION: did_change_configuration,
    types.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS: did_change_workspace_folders,
    STREAMED_INLINE_COMPLETION: streamed_inline_completion,
    STATUS: status,
    STATISTICS: statistics,
    TRACE: trace,
    FUNCTION_PREVIEW: function_preview,
}


def create_server(make_completer: MakeCompleter) -> InklingServer:
    """A server that is ready for `initialize`. It makes its completer after that, when needed."""
    server = InklingServer(make_completer)
    for method, function in FEATURES.items():
        server.feature(method)(function)
    # pygls announces this capability only when it comes with options.
    server.feature(types.TEXT_DOCUMENT_INLINE_COMPLETION, types.InlineCompletionOptions())(
        inline_completion
    )
    kinds = types.CodeActionOptions(code_action_kinds=[FUNCTION_KIND])
    server.feature(types.TEXT_DOCUMENT_CODE_ACTION, kinds)(function_action)
    server.command(ACCEPTED)(accepted)
    server.command(WRITE_FUNCTION)(write_function)
    return server
