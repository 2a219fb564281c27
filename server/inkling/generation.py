"""One completion while the model writes it: the raw stream, the filtered text, and who reads it.

A generation outlives the request that began it. While the user types the very text it produces,
newer requests of the document read on from it (type-through) and the engine is not asked again.
Event loop only.
"""

import asyncio
import contextlib
import logging
import math
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import replace

from inkling.client import Piece
from inkling.core import DocumentSnapshot, Extent, Usage
from inkling.errors import EngineUnavailable, InklingError
from inkling.postprocess import Draft, Place, cut, rewrite
from inkling.postprocess.low_confidence import Score, stop_at_low_confidence
from inkling.postprocess.open_statement import is_left_open
from inkling.postprocess.sure import sure_text
from inkling.typed_text import rest_before, rest_of, typed_since

log = logging.getLogger(__name__)

# A cancelled request is usually followed by the next key's. Decoding goes on this long without a
# reader; an incompatible request ends it at once.
ABANDONED_S = 1.0
NOTHING_TO_ADD = "nothing to add"
LEFT_OPEN = "a statement left open"


class Generation:
    """Text for one place of one document, growing until `is_final`."""

    def __init__(
        self,
        document: DocumentSnapshot,
        offset: int,
        place: Place,
        pieces: Callable[[], AsyncGenerator[Piece, None]],
        trim: Callable[[Draft, int], Awaitable[str]],
        min_logprob: float = -math.inf,
    ) -> None:
        """`place` is that of `offset` in the document. `pieces` opens the engine's stream; closing that
        stream cancels the engine's work. `trim` has the last word on a settled text: it may shorten it
        to what is shown (characters). Lines with a mean log-probability a token under `min_logprob`
        are not shown."""
        text = document.text
        self.id = uuid.uuid4().hex
        self.uri = document.uri
        self.offset = offset
        self.text = ""
        self.is_final = False
        self.was_cut = False
        self.silence = ""
        self.failure: InklingError | None = None
        self.usage: Usage | None = None
        self.num_tokens = 0
        self._document_text = text
        self._draft = Draft("", place)
        self._written = ""  # what the model wrote, as it belongs in the document
        self._trim = trim
        self._min_logprob = min_logprob
        self._scores: list[Score] = []
        self._changed = asyncio.Event()
        self._num_readers = 0
        self._task = asyncio.create_task(self._run(pieces))
        self._task.add_done_callback(self._finish)

    def rest_after(self, document: DocumentSnapshot, offset: int) -> str | None:
        """What is left of the text once the user has typed on to `offset`; None if they typed
        something else. While the typed text is ahead of an unfinished one, what is left is ""."""
        if document.uri != self.uri:
            return None
        typed = typed_since(self._document_text, self.offset, document.text, offset)
        if typed is None:
            return None
        if not self.is_final:
            if self._disagrees(typed.text):
                return None
            if typed.closer:  # whether it is in the text as well shows at the end only
                return ""
        rest = rest_of(self.text, typed.text)
        if rest is None:
            return None if self.is_final else ""
        return rest_before(rest, typed.closer) if typed.closer else rest

    def is_reached(self, document: DocumentSnapshot, offset: int) -> bool:
        """Whether the document has become what this was made for, whatever was typed since."""
        return document.uri == self.uri and (
            typed_since(self._document_text, self.offset, document.text, offset) is not None
        )

    def is_for(self, document: DocumentSnapshot, offset: int) -> bool:
        """Whether this was made for this very place."""
        is_here = document.uri == self.uri and offset == self.offset
        return is_here and document.text == self._document_text

    @property
    def is_sound(self) -> bool:
        """Whether nothing has ended this before its time, so far."""
        return not self.was_cut and self.failure is None

    def _disagrees(self, typed: str) -> bool:
        """Whether what is typed cannot become what is being written, shown or not."""
        if self._draft.extent is Extent.LINE and "\n" in typed and "\n" not in self._written:
            return True
        return rest_of(self._written, typed) is None and rest_of(typed, self._written) is None

    async def states(self) -> AsyncGenerator[None, None]:
        """One turn for each growth of `text`, the last when it is final."""
        self._num_readers += 1
        try:
            while True:
                changed = self._changed
                yield
                if self.is_final:
                    return
                await changed.wait()
        finally:
            self._num_readers -= 1
            if not self._num_readers and not self.is_final:
                asyncio.get_running_loop().call_later(ABANDONED_S, self._cancel_if_unread)

    async def finished(self) -> None:
        """Wait for the end, however it comes."""
        await asyncio.wait([self._task])

    def stop(self) -> None:
        """End decoding soon; what was produced stays."""
        self._task.cancel()

    async def cancel(self) -> None:
        """End decoding now; what was produced stays."""
        self._task.cancel()
        await asyncio.wait([self._task])  # unlike awaiting it, passes on the caller's own cancel

    def _cancel_if_unread(self) -> None:
        if not self._num_readers:
            self._task.cancel()

    async def _run(self, pieces: Callable[[], AsyncGenerator[Piece, None]]) -> None:
        async with contextlib.aclosing(pieces()) as stream:
            async for piece in stream:
                self.usage = piece.usage or self.usage
                self.num_tokens += len(piece.token_ids)
                if piece.logprob is not None:
                    self._scores.append((len(self._draft.text), piece.logprob))
                await self._add(piece.text, is_whole=False)
                if self._draft.is_done:
                    break
        await self._add("", is_whole=True)

    def _finish(self, task: asyncio.Task[None]) -> None:
        """However the task ended: its readers must learn of it."""
        self.is_final = True
        self.was_cut = task.cancelled()
        if not task.cancelled() and (error := task.exception()):
            if not isinstance(error, InklingError):
                log.error("a generation failed", exc_info=error)
            self.failure = (
                error
                if isinstance(error, InklingError)
                else EngineUnavailable(f"failed: {error!r}")
            )
            self.silence = str(self.failure)
        self._notify()

    async def _add(self, text: str, *, is_whole: bool) -> None:
        """Filter what there is now and show what is sure of it. Shown text only ever grows."""
        if self._draft.is_done:
            return
        raw = replace(
            self._draft, text=self._draft.text + text.replace("\r", ""), is_whole=is_whole
        )
        rewritten, filtered = self._filter(raw)
        self._draft, self._written = replace(raw, is_done=filtered.is_done), rewritten.text
        if not filtered.is_settled:
            shown = sure_text(filtered)
        elif "\n" in filtered.text or is_left_open(filtered.text, filtered.place):
            shown = await self._trim(filtered, len(self.text))
        else:
            shown = filtered.text
        if shown.startswith(self.text) and shown != self.text:
            self.text = shown
            self._notify()
        if filtered.is_settled and not self.text:
            cut_by = filtered.cut_by or (LEFT_OPEN if filtered.text.strip() else "")
            self.silence = f"filtered: {cut_by}" if cut_by else NOTHING_TO_ADD

    def _filter(self, raw: Draft) -> tuple[Draft, Draft]:
        """The draft as it belongs in the document, and what is good of that."""
        confident = stop_at_low_confidence(raw, self._scores, self._min_logprob)
        rewritten = rewrite(confident)
        filtered = cut(rewritten)
        if filtered.is_settled and not confident.is_settled:
            # A filter has ended it within a line, which is judged by what there is of it.
            whole = replace(raw, is_whole=True)
            judged = stop_at_low_confidence(whole, self._scores, self._min_logprob)
            if judged.is_done:
                rewritten = rewrite(judged)
                filtered = cut(rewritten)
        return rewritten, filtered

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
