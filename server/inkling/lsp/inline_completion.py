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

from inkling.core import Chunk, Completion, CompletionRequest, DocumentSnapshot, TriggerKind
from inkling.lsp.documents import OpenDocument
from inkling.lsp.language_server import InklingServer
from inkling.lsp.protocol import ACCEPTED
from inkling.silence import is_secret

# Finished lines that are there after this long are answered without waiting for the rest: the
# editor asks again at the next key, and the rest is served from what was generated meanwhile.
PATIENCE_S = 0.3
# Whoever asks by hand waits to see what there is to choose from; then, what is there is answered.
INVOKED_PATIENCE_S = 2.0
# Besides the completion itself.
NUM_ALTERNATIVES = 2
# Open documents offered as context for another.
MAX_OTHERS = 8

logger = logging.getLogger(__name__)

# A state of a completion and its place, as the client gets it.
Show = Callable[[Completion, types.Position], types.InlineCompletionList]


async def inline_completion(
    ls: InklingServer, params: types.InlineCompletionParams
) -> types.InlineCompletionList | None:
    """Answer with the whole completion, or with what is finished when patience ends."""
    is_invoked = params.context.trigger_kind is types.InlineCompletionTriggerKind.Invoked
    patience_s = INVOKED_PATIENCE_S if is_invoked else PATIENCE_S
    return await answer(ls, params, lambda items: None, patience_s, items_of)


async def answer(
    ls: InklingServer,
    params: types.InlineCompletionParams,
    on_growth: Callable[[types.InlineCompletionList], None],
    patience_s: float | None,
    show: Show,
) -> types.InlineCompletionList | None:
    """The newest state of a completion, None when a newer request of the document took over.

    `on_growth` is called each time the text has grown or an alternative has come. With `patience_s`
    None the completion is waited for to its end. Raises nothing but CancelledError, when the client cancels.
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
    num_alternatives = NUM_ALTERNATIVES if trigger is TriggerKind.INVOKED else 0
    snapshot = document.snapshot(ls.roots)
    chosen = _chosen_ahead(ls, document, offset, params.context.selected_completion_info)
    # As if the suggestion chosen in the editor's menu stood there already: it shows no other text.
    inserted = chosen.replace("\n", "\r\n") if "\r\n" in snapshot.text else chosen
    before, after = snapshot.text[:offset], snapshot.text[offset:]
    request = CompletionRequest(
        replace(snapshot, text=before + inserted + after) if inserted else snapshot,
        offset + len(inserted),
        trigger,
        num_alternatives=num_alternatives,
    )

    def grow(state: Completion) -> None:
        if patience_s is None:  # what is streamed is on screen, and may be accepted
            ls.acceptances.show(state, request.document)
        on_growth(show(_behind(chosen, state), at))

    work = _newest_state(ls, request, grow, patience_s)
    try:
        completion = await _newest_only(ls.running, uri, work)
    except Exception as error:
        logger.exception("inline completion failed")
        return ls.silent(f"internal error: {error!r}")
    if completion is None:
        return None
    ls.status.answered(completion.silence)
    ls.acceptances.show(completion, request.document)
    return show(_behind(chosen, completion), at)


def _chosen_ahead(
    ls: InklingServer,
    document: OpenDocument,
    offset: int,
    info: types.SelectedCompletionInfo | None,
) -> str:
    """What the suggestion chosen in the editor's menu would add at the cursor; "" where there is none
    or it would change what stands there."""
    if info is None:
        return ""
    start = document.offset_at(info.range.start, ls.encoding)
    end = document.offset_at(info.range.end, ls.encoding)
    typed = (document.text or "")[start:offset]
    goes_on = start <= offset == end and info.text.startswith(typed)
    return info.text[len(typed) :].replace("\r\n", "\n") if goes_on else ""


def _behind(chosen: str, completion: Completion) -> Completion:
    """The completion as it is shown: with the chosen suggestion before it, which is not ours to count."""
    if not chosen or not completion.text:
        return completion
    return replace(
        completion,
        text=chosen + completion.text,
        alternatives=tuple(_behind(chosen, it) for it in completion.alternatives),
    )


async def _newest_state(
    ls: InklingServer,
    request: CompletionRequest,
    on_growth: Callable[[Completion], None],
    patience_s: float | None,
) -> Completion:
    """Follow a completion to its end, or to the end of patience once there is text."""
    completer = await ls.completer()
    others, recent = others_of(ls, request.document.uri)
    request = replace(request, others=others, recent=recent)
    newest = Completion("", request.offset, "", is_final=True)
    now = asyncio.get_running_loop().time
    started = now()
    with contextlib.suppress(TimeoutError):
        async with (
            asyncio.timeout(None) as patience,
            contextlib.aclosing(completer.complete(request)) as states,
        ):
            async for state in states:
                if (state.text, state.alternatives) != (newest.text, newest.alternatives):
                    on_growth(state)
                newest = state
                if newest.text and patience_s is not None:
                    patience.reschedule(max(now(), started + patience_s))
    return newest


def others_of(
    ls: InklingServer, uri: str
) -> tuple[tuple[DocumentSnapshot, ...], tuple[Chunk, ...]]:
    """The other open documents whose text may be in a prompt, and what was edited of them last."""
    roots = ls.roots
    others = [it for it in ls.documents.others(uri, MAX_OTHERS) if not is_secret(it.uri)]
    recent = (chunk for other in others for chunk in other.recent_edits(roots))
    return tuple(other.snapshot(roots) for other in others), tuple(recent)


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


def items_of(completion: Completion, at: types.Position) -> types.InlineCompletionList:
    """The completion and its alternatives, each inserted where the cursor is."""
    shown = (completion, *completion.alternatives) if completion.text else ()
    return types.InlineCompletionList(items=[_item(each, at) for each in shown])


def _item(completion: Completion, at: types.Position) -> types.InlineCompletionItem:
    accepted = types.Command(title="", command=ACCEPTED, arguments=[completion.id])
    return types.InlineCompletionItem(
        insert_text=completion.text, range=types.Range(start=at, end=at), command=accepted
    )
