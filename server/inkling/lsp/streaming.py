"""`inkling/inlineCompletion`: inline completion in parts, in LSP's own manner.

LSP has no partial results for inline completion. This request has the same parameters plus a
`partialResultToken`, under which `$/progress` reports `{items: [...]}` each time a line is finished:
the whole list so far, so a client shows the newest and forgets the others. The answer is the whole.
Each list also tells where its text comes from: `inkling eval` measures by it.
"""

from dataclasses import asdict
from typing import Any

import attrs
from lsprotocol import types

from inkling.core import Completion
from inkling.lsp.inline_completion import answer, items_of
from inkling.lsp.language_server import InklingServer
from inkling.lsp.protocol import StreamedInlineCompletionParams


@attrs.define
class InlineCompletionListWithOrigin(types.InlineCompletionList):
    """`origin` says which call of the model the text comes from, and what that cost."""

    origin: dict[str, Any]


async def streamed_inline_completion(
    ls: InklingServer, params: StreamedInlineCompletionParams
) -> types.InlineCompletionList | None:
    """Report the growing completion, answer with all of it. Without a token, only answer."""
    token = params.partial_result_token

    def report(items: types.InlineCompletionList) -> None:
        if token is not None:
            ls.progress(types.ProgressParams(token=token, value=items))

    return await answer(ls, params.inline_completion, report, None, _with_origin)


def _with_origin(completion: Completion, at: types.Position) -> InlineCompletionListWithOrigin:
    origin: dict[str, Any] = {
        "call": completion.id,
        "fromCache": completion.from_cache,
        "silence": completion.silence,
    }
    if completion.usage is not None:
        origin["usage"] = asdict(completion.usage)
    return InlineCompletionListWithOrigin(items_of(completion, at).items, origin)
