"""pygls' protocol, less its own copy of every document, plus the messages LSP does not have."""

from typing import Any

import attrs
import cattrs
from lsprotocol import types
from pygls.exceptions import JsonRpcException, JsonRpcInvalidParams
from pygls.protocol import LanguageServerProtocol, default_converter

STREAMED_INLINE_COMPLETION = "inkling/inlineCompletion"
STATUS = "inkling/status"
STATISTICS = "inkling/statistics"
TRACE = "inkling/trace"
FUNCTION_PREVIEW = "inkling/writeFunction"
DID_CHANGE_STATUS = "inkling/didChangeStatus"
ACCEPTED = "inkling.accepted"


@attrs.define
class StreamedInlineCompletionParams:
    """The parameters of `textDocument/inlineCompletion` and where to report its growth."""

    inline_completion: types.InlineCompletionParams
    partial_result_token: types.ProgressToken | None


@attrs.define
class StreamedInlineCompletionRequest:
    """`inkling/inlineCompletion`."""

    id: int | str
    params: StreamedInlineCompletionParams
    method: str
    jsonrpc: str


@attrs.define
class FunctionPreviewParams:
    """Where a function is described, and where to report how far it is."""

    text_document: types.TextDocumentIdentifier
    position: types.Position
    work_done_token: types.ProgressToken | None = None


@attrs.define
class FunctionPreviewRequest:
    """`inkling/writeFunction`."""

    id: int | str
    params: FunctionPreviewParams
    method: str
    jsonrpc: str


# What a message of ours is structured as.
_REQUESTS: dict[str, type[Any]] = {
    STREAMED_INLINE_COMPLETION: StreamedInlineCompletionRequest,
    FUNCTION_PREVIEW: FunctionPreviewRequest,
}


class InklingProtocol(LanguageServerProtocol):
    """JSON-RPC and the builtin methods of LSP."""

    # pygls would keep a second copy of each document, with lines that are not LSP's, and raise where
    # those differ. Without these the server's own handlers are all there is.
    lsp_text_document__did_open = None  # type: ignore[assignment]
    lsp_text_document__did_change = None  # type: ignore[assignment]
    lsp_text_document__did_close = None  # type: ignore[assignment]

    def get_message_type(self, method: str) -> type[Any] | None:  # type: ignore[override]
        """The type a message of this method is structured as."""
        return _REQUESTS.get(method) or super().get_message_type(method)

    def structure_message(self, data: dict[str, Any]) -> Any:
        """Turn JSON into a message. A malformed request is answered: its client waits for it."""
        if data.get("method") == types.INITIALIZED:
            data.setdefault("params", {})  # some clients leave it out
        if data.get("method") == types.INITIALIZE:
            _keep_inline_completion(data)
        try:
            return super().structure_message(data)
        except JsonRpcException:
            if "id" in data and "method" in data:
                error = JsonRpcInvalidParams(f"The parameters of {data['method']} are malformed.")
                self._send_response(data["id"], error=error.to_response_error())
            raise


def _keep_inline_completion(initialize: dict[str, Any]) -> None:
    """Emacs' lsp-mode says that it has inline completion by null, which is nothing once structured."""
    found: Any = initialize
    for key in ("params", "capabilities", "textDocument"):
        found = found.get(key) if isinstance(found, dict) else None
    if isinstance(found, dict) and "inlineCompletion" in found:
        found["inlineCompletion"] = found["inlineCompletion"] or {}


def make_converter() -> cattrs.Converter:
    """pygls' converter, which also knows our own requests."""
    converter: cattrs.Converter = default_converter()  # type: ignore[no-untyped-call]

    def structure(data: Any, _: type) -> StreamedInlineCompletionParams:
        standard = converter.structure(data, types.InlineCompletionParams)
        return StreamedInlineCompletionParams(standard, data.get("partialResultToken"))

    def structure_preview(data: Any, _: type) -> FunctionPreviewParams:
        place = converter.structure(data, types.TextDocumentPositionParams)
        token = data.get("workDoneToken")
        return FunctionPreviewParams(place.text_document, place.position, token)

    converter.register_structure_hook(StreamedInlineCompletionParams, structure)
    converter.register_structure_hook(FunctionPreviewParams, structure_preview)
    return converter
