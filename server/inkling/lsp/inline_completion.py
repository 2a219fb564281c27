"""`textDocument/inlineCompletion`: the rules by which both editors behave.

Nothing to show is `items: []`: Neovim leaves old ghost text on screen for `null`. A superseded
request is answered `null`: Neovim does not cancel it, and shows whatever comes last. There is no
error answer: VS Code makes a pop-up of each. Every item has a range: without one, Neovim draws the
text wherever the cursor has gone meanwhile.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from lsprotocol import types

from inkling.core import Completion, CompletionRequest, DocumentSnapshot, TriggerKind
from inkling.lsp.language_server import InklingServer
from inkling.lsp.protocol import ACCEPTED
from inkling.silence import is_secret

# Finished lines that are there after this long are answered without waiting for the rest: the
# editor asks again at the next key, and the rest is served from what was generated meanwhile.
PATIENCE_S = 0.3
# Open documents offered as context for another.
MAX_OTHERS = 8

logger = logging.getLogger(__name__)


async def inline_completion(
    ls: InklingServer, params: types.InlineCompletionParams
) -> types.InlineCompletionList | None:
    """Answer with the whole completion, or with the lines finished after `PATIENCE_S`."""
    return await answer(ls, params, lambda items: None, PATIENCE_S)


async def answer(
    ls: InklingServer,
    params: types.InlineCompletionParams,
    on_growth: Callable[[types.InlineCompletionList], None],
    patience_s: float | None,
) -> types.InlineCompletionList | None:
    """The newest state of a completion, None when a newer request of the document took over.

    `on_growth` is called each time the text has grown. With `patience_s` None the completion is
    waited for to its end. Raises nothing but CancelledError, when the client cancels.
    """
    uri = params.text_document.uri
    document = ls.documents.use(uri)
    if document is None:
        return ls.silent("document not open")
    if document.text is None:
        return ls.silent("file too large")
    offset = document.offset_at(params.position, ls.encoding)
    at = document.position_at(offset, ls.encoding)
    trigger = TriggerKind(params.context.trigger_kind.value)
    request = CompletionRequest(document.snapshot(ls.roots), offset, trigger)
    work = _newest_state(ls, request, lambda it: on_growth(_items(it, at)), patience_s)
    try:
        completion = await _newest_only(ls.running, uri, work)
    except Exception as error:
        logger.exception("inline completion failed")
        return ls.silent(f"internal error: {error!r}")
    if completion is None:
        return None
    ls.status.answered(completion.silence)
    return _items(completion, at)


async def _newest_state(
    ls: InklingServer,
    request: CompletionRequest,
    on_growth: Callable[[Completion], None],
    patience_s: float | None,
) -> Completion:
    """Follow a completion to its end, or to the end of patience once there is text."""
    completer = await ls.completer()
    request = replace(request, others=_others(ls, request.document.uri))
    newest = Completion("", request.offset, "", is_final=True)
    now = asyncio.get_running_loop().time
    started = now()
    with contextlib.suppress(TimeoutError):
        async with (
            asyncio.timeout(None) as patience,
            contextlib.aclosing(completer.complete(request)) as states,
        ):
            async for state in states:
                if state.text != newest.text:
                    on_growth(state)
                newest = state
                if newest.text and patience_s is not None:
                    patience.reschedule(max(now(), started + patience_s))
    return newest


def _others(ls: InklingServer, uri: str) -> tuple[DocumentSnapshot, ...]:
    """The other open documents whose text may be in a prompt."""
    roots = ls.roots
    found = (other.snapshot(roots) for other in ls.documents.others(uri, MAX_OTHERS))
    return tuple(other for other in found if not is_secret(other.path))


async def _newest_only(
    running: dict[str, asyncio.Task[Completion]],
    uri: str,
    work: Coroutine[Any, Any, Completion],
) -> Completion | None:
    """Await `work`; end the older request of the document; None if a newer one takes over."""
    if older := running.get(uri):
        older.cancel()
    task = running[uri] = asyncio.create_task(work)
    try:
        return await task
    except asyncio.CancelledError:
        current = asyncio.current_task()
        if current is not None and current.cancelling():
            raise  # the client cancelled
        return None
    finally:
        if running.get(uri) is task:
            del running[uri]


def _items(completion: Completion, at: types.Position) -> types.InlineCompletionList:
    """At most one item, inserted where the cursor is."""
    if not completion.text:
        return types.InlineCompletionList(items=[])
    accepted = types.Command(title="", command=ACCEPTED, arguments=[completion.id])
    item = types.InlineCompletionItem(
        insert_text=completion.text, range=types.Range(start=at, end=at), command=accepted
    )
    return types.InlineCompletionList(items=[item])
