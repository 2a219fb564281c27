"""The pipeline from a cursor to a completion. `Completer.complete` is its list of steps.

Knows nothing of the language server protocol and of the engine's insides. Event loop only.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from inkling.client import EngineClient
from inkling.completions import Completions, Counters
from inkling.config import Settings
from inkling.core import Completion, CompletionRequest, DocumentSnapshot, Priority
from inkling.errors import InklingError
from inkling.function.author import FunctionWriting, described, write_function
from inkling.generation import NOTHING_TO_ADD, Generation
from inkling.preparation import EditEpisode
from inkling.silence import reason_for_silence
from inkling.writer import Writer

# Samples taken, at most, for each alternative wanted: many are what is there already.
SAMPLES_EACH = 2


@dataclass(frozen=True)
class Status:
    """What every surface shows: `state` is "starting", "ready", "off" or "error"; `kind` says
    whether `model` is the demo, `where` on which machine it runs; `reason` why the last request got
    nothing ("" if it got some)."""

    state: str = "starting"
    model: str = ""
    kind: str = ""
    reason: str = ""
    where: str = ""


class Completer:
    """Completions for the documents of one server."""

    def __init__(
        self, client: EngineClient, settings: Settings, on_status: Callable[[Status], None]
    ) -> None:
        """`on_status` is called on the event loop whenever the status changes."""
        self.status = Status(state="starting" if settings.enabled else "off")
        self.counters = Counters()
        self._settings = settings
        self._on_status = on_status
        self._writer = Writer(client, settings, self._set_status)
        self._documents: dict[str, Completions] = {}
        self._closing: set[asyncio.Task[None]] = set()

    async def complete(self, request: CompletionRequest) -> AsyncGenerator[Completion, None]:
        """The states of one completion: its text grows, the last one is final.

        Expected faults never raise: they end in an empty final completion with its `silence`.
        Closing the iterator leaves the model at work for a moment, since the next key often agrees
        with what it writes; a request that does not agree ends it.
        """
        self.counters.requests += 1
        if silence := reason_for_silence(self._settings, request.document):
            yield self._nothing(request, silence)
            return
        known = self._documents.setdefault(request.document.uri, Completions(self.counters))
        known.stay_as_it_is()
        generation = known.find(request)
        from_cache = generation is not None
        final: Completion | None = None
        while final is None:
            if generation is None:
                try:
                    generation = await self._generate(request, known)
                except InklingError as error:
                    self._set_status(state="error", reason=str(error))
                    yield self._nothing(request, str(error))
                    return
            reading = self._read(generation, request, known, from_cache)
            async with contextlib.aclosing(reading) as states:
                async for state in states:
                    if state.is_final:
                        final = state
                    else:
                        yield state
            if final is None:
                generation, from_cache = None, False
        self.counters.from_memory += from_cache
        if self._settings.prefetch:
            known.refresh_when_idle(request, self._writer.refreshed)
        if final.text and generation is not None and generation.is_sound:
            if request.num_alternatives:
                growing = self._with_alternatives(final, request, known)
                async with contextlib.aclosing(growing) as states:
                    async for final in states:
                        yield replace(final, is_final=False)
            if self._settings.prefetch:
                known.look_ahead(request, final.text, self._write_ahead)
        yield final

    async def describes_function(self, document: DocumentSnapshot, offset: int) -> bool:
        """Whether a comment or a signature at `offset` asks for a function that is not there."""
        if reason_for_silence(self._settings, document):
            return False
        known = self._documents.get(document.uri)
        episode = known.episode if known is not None else EditEpisode()
        place = await self._writer.in_thread(partial(described, document, offset, episode))
        return place is not None

    async def write_function(
        self, request: CompletionRequest
    ) -> AsyncGenerator[FunctionWriting, None]:
        """Write the function that the document describes at the request's offset: see
        `inkling.function.author`. What is written for its keys ends."""
        if known := self._documents.get(request.document.uri):
            known.stay_as_it_is()
            await known.end_running()
        async with contextlib.aclosing(write_function(self._writer, request)) as states:
            async for state in states:
                yield state

    def update_settings(self, settings: Settings) -> None:
        """Use other settings from the next request on. Engine settings apply to the next engine."""
        self._writer.update_settings(settings)
        was_enabled, self._settings = self._settings.enabled, settings
        if was_enabled != settings.enabled:
            on = "ready" if self._writer.has_engine else "starting"
            self._set_status(state=on if settings.enabled else "off", reason="")

    def accepted(self, completion_id: str) -> None:
        """The user accepted a completion. (What comes next has been asked for when it was shown.)"""
        self.counters.accepted += any(
            known.knows(completion_id) for known in self._documents.values()
        )

    def trace_page(self) -> str:
        """What was sent to the model last, as Markdown."""
        return self._writer.trace.page()

    def closed(self, uri: str) -> None:
        """Forget a document, and end what is written for it."""
        if known := self._documents.pop(uri, None):
            closing = asyncio.create_task(known.aclose())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    async def set_roots(self, roots: Sequence[Path]) -> None:
        """The workspace folders that the editor has open now."""
        is_indexed = self._settings.related_code
        await self._writer.workspaces.set_roots(roots, is_indexed=is_indexed)

    async def warm_up(self) -> None:
        """Have an engine running and its vocabulary loaded before the first key."""
        if self._settings.enabled:
            try:
                await self._writer.engine()
            except InklingError as error:
                self._set_status(state="error", reason=str(error))

    async def aclose(self) -> None:
        """End all work. The engine itself goes on: other windows may use it."""
        for uri in tuple(self._documents):
            self.closed(uri)
        if self._closing:
            await asyncio.wait(self._closing)
        await self._writer.aclose()

    async def _generate(
        self, request: CompletionRequest, known: Completions, seed: int | None = None
    ) -> Generation:
        """Have the model write what nothing known answers; with a `seed`, an alternative."""
        await known.end_running()
        if self._settings.debounce_ms and seed is None:
            await asyncio.sleep(self._settings.debounce_ms / 1000)
        ready = await self._writer.prepare(request, known.episode)
        await known.end_running()  # of a request that came meanwhile
        generation = self._writer.begin(ready, seed=seed)
        known.remember(generation, is_alternative=seed is not None)
        return generation

    async def _write_ahead(self, request: CompletionRequest, episode: EditEpisode) -> Generation:
        """Have the model write what no key waits for."""
        ready = await self._writer.prepare(request, episode)
        return self._writer.begin(ready, Priority.PREFETCH)

    async def _read(
        self,
        generation: Generation,
        request: CompletionRequest,
        known: Completions,
        from_cache: bool,
    ) -> AsyncGenerator[Completion, None]:
        """A generation's states as a request sees them. None of them is final where the user has typed
        ahead of it and it wrote something else, or nothing more."""
        async with contextlib.aclosing(generation.states()) as states:
            async for _ in states:
                rest = generation.rest_after(request.document, request.offset)
                is_used_up = from_cache and generation.is_final and not rest
                if rest is None or (is_used_up and not known.is_silent(generation, request)):
                    return
                if rest or generation.is_final:
                    yield self._completion(request, generation, rest, from_cache)

    async def _with_alternatives(
        self, final: Completion, request: CompletionRequest, known: Completions
    ) -> AsyncGenerator[Completion, None]:
        """A completion alone and, as they come, with what else the model would write, each text once.
        All start from the KV of the same prompt."""
        yield final
        texts = {final.text}
        for seed in range(SAMPLES_EACH * request.num_alternatives):
            try:
                generation = await self._generate(request, known, seed)
            except InklingError:
                return  # the completion is there; the next key meets the error
            async with contextlib.aclosing(generation.states()) as states:
                async for _ in states:
                    pass
            if generation.text and generation.is_sound and generation.text not in texts:
                texts.add(generation.text)
                other = self._completion(request, generation, generation.text, from_cache=False)
                final = replace(final, alternatives=(*final.alternatives, other))
                yield final
            if len(texts) > request.num_alternatives:
                return

    def _completion(
        self, request: CompletionRequest, generation: Generation, text: str, from_cache: bool
    ) -> Completion:
        silence = ""
        if generation.is_final:
            silence = "" if text else generation.silence or NOTHING_TO_ADD
            if generation.failure is None:
                self._set_status(state="ready", reason=silence)
        return Completion(
            id=generation.id,
            offset=request.offset,
            text=text,
            is_final=generation.is_final,
            silence=silence,
            from_cache=from_cache,
            usage=generation.usage,
        )

    def _nothing(self, request: CompletionRequest, silence: str) -> Completion:
        self._set_status(reason=silence)
        return Completion("", request.offset, "", is_final=True, silence=silence)

    def _set_status(self, **changes: str) -> None:
        if not self._settings.enabled:
            changes["state"] = "off"
        status = replace(self.status, **changes)
        if status != self.status:
            self.status = status
            self._on_status(status)
