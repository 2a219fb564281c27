"""pygls' protocol, less its own copy of every document, plus the messages LSP does not have."""

from typing import Any

import attrs
import cattrs
from lsprotocol import types
from pygls.exceptions import JsonRpcException, JsonRpcInvalidParams
from pygls.protocol import LanguageServerProtocol, default_converter

STREAMED_INLINE_COMPLETION = "inkling/inlineCompletion"
STATUS = "inkling/status"
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


class InklingProtocol(LanguageServerProtocol):
    """JSON-RPC and the builtin methods of LSP."""

    # pygls would keep a second copy of each document, with lines that are not LSP's, and raise where
    # those differ. Without these the server's own handlers are all there is.
    lsp_text_document__did_open = None  # type: ignore[assignment]
    lsp_text_document__did_change = None  # type: ignore[assignment]
    lsp_text_document__did_close = None  # type: ignore[assignment]

    def get_message_type(self, method: str) -> type[Any] | None:  # type: ignore[override]
        """The type a message of this method is structured as."""
        if method == STREAMED_INLINE_COMPLETION:
            return StreamedInlineCompletionRequest
        return super().get_message_type(method)

    def structure_message(self, data: dict[str, Any]) -> Any:
        """Turn JSON into a message. A malformed request is answered: its client waits for it."""
        try:
            return super().structure_message(data)
        except JsonRpcException:
            if "id" in data and "method" in data:
                error = JsonRpcInvalidParams(f"The parameters of {data['method']} are malformed.")
                self._send_response(data["id"], error=error.to_response_error())
            raise


def make_converter() -> cattrs.Converter:
    """pygls' converter, which also knows `inkling/inlineCompletion`."""
    converter: cattrs.Converter = default_converter()  # type: ignore[no-untyped-call]

    def structure(data: Any, _: type) -> StreamedInlineCompletionParams:
        standard = converter.structure(data, types.InlineCompletionParams)
        return StreamedInlineCompletionParams(standard, data.get("partialResultToken"))

    converter.register_structure_hook(StreamedInlineCompletionParams, structure)
    return converter
