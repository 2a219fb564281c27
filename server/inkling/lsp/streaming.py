"""`inkling/inlineCompletion`: inline completion in parts, in LSP's own manner.

LSP has no partial results for inline completion. This request has the same parameters plus a
`partialResultToken`, under which `$/progress` reports `{items: [...]}` each time a line is finished:
the whole list so far, so a client shows the newest and forgets the others. The answer is the whole.
"""

from lsprotocol import types

from inkling.lsp.inline_completion import answer
from inkling.lsp.language_server import InklingServer
from inkling.lsp.protocol import StreamedInlineCompletionParams


async def streamed_inline_completion(
    ls: InklingServer, params: StreamedInlineCompletionParams
) -> types.InlineCompletionList | None:
    """Report the growing completion, answer with all of it. Without a token, only answer."""
    token = params.partial_result_token

    def report(items: types.InlineCompletionList) -> None:
        if token is not None:
            ls.progress(types.ProgressParams(token=token, value=items))

    return await answer(ls, params.inline_completion, report, patience_s=None)
