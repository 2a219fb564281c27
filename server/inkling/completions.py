"""The completions of one document: those the model is writing, and those still worth reading.

Typing through, backspace, accepting a part, what was written ahead: all are answered from here. Owns
the document's edit episode. Event loop only.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from inkling.core import CompletionRequest, TriggerKind
from inkling.errors import InklingError
from inkling.generation import NOTHING_TO_ADD, Generation
from inkling.look_ahead import after_accepting, after_enter
from inkling.preparation import EditEpisode

# After so long without a key the related code is chosen again and prefilled.
IDLE_S = 2.0
# Generations remembered: backspace and re-typing are answered from them.
REMEMBERED = 8
# Generations for places the user has not come to yet, or not again.
REMEMBERED_AHEAD = 4
REMEMBERED_ALTERNATIVES = 4

Write = Callable[[CompletionRequest, EditEpisode], Awaitable[Generation]]
Refresh = Callable[[CompletionRequest, EditEpisode], Awaitable[EditEpisode | None]]


@dataclass
class Counters:
    """What this server has done. `requests` the editor made, `from_memory` those of them that no
    model call was needed for, `accepted` completions; `ahead` completions written before they were
    asked for, `ahead_used` those that were asked for then, and their tokens."""

    requests: int = 0
    from_memory: int = 0
    accepted: int = 0
    ahead: int = 0
    ahead_used: int = 0
    ahead_tokens: int = 0
    ahead_tokens_used: int = 0


@dataclass(frozen=True)
class _Ahead:
    """A generation for a place the user may come to, and the episode that has gone ahead to there."""

    generation: Generation
    episode: EditEpisode


class Completions:
    """Of one document. At most one generation that a key asked for runs, and one look-ahead."""

    def __init__(self, counters: Counters) -> None:
        self.episode = EditEpisode()
        self._counters = counters
        self._remembered: deque[Generation] = deque(maxlen=REMEMBERED)
        self._alternatives: deque[Generation] = deque(maxlen=REMEMBERED_ALTERNATIVES)
        self._ahead: deque[_Ahead] = deque(maxlen=REMEMBERED_AHEAD)
        self._is_closed = False
        self._looking: asyncio.Task[None] | None = None
        self._looking_at = ("", 0)  # the text and offset of a document to be
        self._refreshing: asyncio.Task[None] | None = None

    def find(self, request: CompletionRequest) -> Generation | None:
        """What answers a request without a model call: a text that the user is typing, the newest
        first and alternatives last; else one that is silent here."""
        document, offset = request.document, request.offset
        silent = None
        self._go_ahead(request)
        for generation in reversed(self._all()):
            rest = generation.rest_after(document, offset)
            # A key does not wait for a sample that may become what the user is typing.
            is_live = not generation.is_final and generation not in self._alternatives
            if rest is not None and (rest or is_live) and not generation.was_cut:
                return self._used(generation)
            if silent is None and self.is_silent(generation, request):
                silent = generation
        return None if silent is None else self._used(silent)

    def is_silent(self, generation: Generation, request: CompletionRequest) -> bool:
        """Whether a generation tells that there is nothing to say at this very place. A user who asks
        by hand has seen that already."""
        is_whole = generation.is_final and generation.is_sound and not generation.text
        is_here = generation.is_for(request.document, request.offset)
        return is_whole and is_here and request.trigger is TriggerKind.AUTOMATIC

    def remember(self, generation: Generation, *, is_alternative: bool = False) -> None:
        """Keep a generation that has been begun."""
        (self._alternatives if is_alternative else self._remembered).append(generation)

    def knows(self, completion_id: str) -> bool:
        return any(generation.id == completion_id for generation in self._all())

    def look_ahead(self, request: CompletionRequest, text: str, write: Write) -> None:
        """Have written what comes after `text` is accepted at `request`, unless it is there or
        under way. It ends with the first key that asks for something else."""
        if self._is_closed:
            return
        place = after_accepting(request, text)
        document, offset = place.document, place.offset
        if any(each.is_for(document, offset) and each.is_sound for each in self._all()):
            return
        if self._looking is not None and not self._looking.done():
            if self._looking_at == (document.text, offset):
                return
            self._looking.cancel()
        self._looking_at = document.text, offset
        self._looking = asyncio.create_task(self._look(place, write))

    def refresh_when_idle(self, request: CompletionRequest, refresh: Refresh) -> None:
        """Let the next keys find fresh related code, unless `stay_as_it_is` is called before."""
        if not self._is_closed:
            self.stay_as_it_is()
            self._refreshing = asyncio.create_task(self._refresh(request, refresh))

    def stay_as_it_is(self) -> None:
        """A key is there: nothing is refreshed under it."""
        if self._refreshing is not None:
            self._refreshing.cancel()

    async def end_running(self) -> None:
        """End what the model writes, ahead or not: a key asks for something else."""
        if self._looking is not None:
            self._looking.cancel()
        for generation in self._all():
            if not generation.is_final:
                await generation.cancel()

    async def aclose(self) -> None:
        """End all work, and begin no more ahead."""
        self._is_closed = True
        await self.end_running()
        self.stay_as_it_is()
        if working := [it for it in (self._looking, self._refreshing) if it is not None]:
            await asyncio.wait(working)

    async def _refresh(self, request: CompletionRequest, refresh: Refresh) -> None:
        await asyncio.sleep(IDLE_S)
        episode = self.episode
        with contextlib.suppress(InklingError):  # the next key meets it, and says so
            anew = await refresh(request, episode)
            if anew is not None and self.episode is episode:
                self.episode = anew

    async def _look(self, place: CompletionRequest | None, write: Write) -> None:
        """Write at one place and, where that has nothing to add to its line, on the line below."""
        episode = self.episode
        while place is not None:
            episode = replace(episode)  # a copy: the key's plan stays where the key is
            try:
                generation = await write(place, episode)
            except InklingError:
                return  # the next key meets it, and says so
            ahead = _Ahead(generation, episode)
            self._ahead.append(ahead)
            self._counters.ahead += 1
            try:
                await generation.finished()
            finally:
                self._counters.ahead_tokens += generation.num_tokens
                if ahead in self._ahead:
                    generation.stop()
                else:  # the user has come there meanwhile
                    self._counters.ahead_tokens_used += generation.num_tokens
            is_line_complete = generation.silence == NOTHING_TO_ADD
            place = after_enter(place) if is_line_complete else None

    def _go_ahead(self, request: CompletionRequest) -> None:
        """Where the user has come to a place that was written ahead, go on from that episode."""
        for ahead in reversed(self._ahead):
            if ahead.generation.is_reached(request.document, request.offset):
                self.episode = ahead.episode
                return

    def _used(self, generation: Generation) -> Generation:
        """A generation that is read; one written ahead is like any other from now on."""
        for ahead in tuple(self._ahead):
            if ahead.generation is generation:
                self._ahead.remove(ahead)
                self._remembered.append(generation)
                self._counters.ahead_used += 1
                if generation.is_final:
                    self._counters.ahead_tokens_used += generation.num_tokens
        return generation

    def _all(self) -> tuple[Generation, ...]:
        """Every generation, the ones to look at first last."""
        ahead = (each.generation for each in self._ahead)
        return (*self._alternatives, *ahead, *self._remembered)
