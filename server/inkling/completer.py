"""The pipeline from a cursor to a completion. `Completer.complete` is its list of steps.

Owns, per document: its edit episode (prompt plan, syntax tree) and the generations still worth
reading. Knows nothing of the language server protocol and of the engine's insides. Event loop only;
slow pure work runs in a thread on snapshots.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial

from inkling.client import EngineClient, Piece, SamplingParams
from inkling.config import Settings
from inkling.context.syntax import SyntaxTree
from inkling.core import Completion, CompletionRequest, Extent, Priority
from inkling.errors import InklingError
from inkling.generation import Generation
from inkling.postprocess import Draft
from inkling.postprocess.valid_syntax import trim_to_valid_syntax
from inkling.preparation import EditEpisode, Target, prepare
from inkling.prompt.plan import Prompt
from inkling.silence import reason_for_silence
from inkling.tokenizer import Tokenizer

# Finished completions remembered per document: backspace and re-typing are answered from them.
REMEMBERED = 8


@dataclass(frozen=True)
class Status:
    """What every surface shows: `state` is "starting", "ready", "off" or "error"; `kind` says
    whether `model` is the demo; `reason` why the last request got nothing ("" if it got some)."""

    state: str = "starting"
    model: str = ""
    kind: str = ""
    reason: str = ""


@dataclass
class _Track:
    """What is kept of one document: see `EditEpisode`, and the generations still worth reading."""

    generations: deque[Generation] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    episode: EditEpisode = field(default_factory=EditEpisode)


class Completer:
    """Completions for the documents of one server."""

    def __init__(
        self, client: EngineClient, settings: Settings, on_status: Callable[[Status], None]
    ) -> None:
        """`on_status` is called on the event loop whenever the status changes."""
        self.status = Status(state="starting" if settings.enabled else "off")
        self.num_accepted = 0
        self._client = client
        self._settings = settings
        self._on_status = on_status
        self._tracks: dict[str, _Track] = {}
        self._ready: asyncio.Task[Target] | None = None
        # One thread: parsers and tracks have one user at a time, and a keystroke needs no more.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="inkling-context")

    async def complete(self, request: CompletionRequest) -> AsyncGenerator[Completion, None]:
        """The states of one completion: its text grows, the last one is final.

        Expected faults never raise: they end in an empty final completion with its `silence`.
        Closing the iterator leaves the model at work for a moment, since the next key often agrees
        with what it writes; a request that does not agree ends it.
        """
        if silence := reason_for_silence(self._settings, request.document):
            yield self._nothing(request, silence)
            return
        generation = self._typed_through(request)
        from_cache = generation is not None
        while True:
            if generation is None:
                try:
                    generation = await self._generate(request)
                except InklingError as error:
                    self._set_status(state="error", reason=str(error))
                    yield self._nothing(request, str(error))
                    return
            async with contextlib.aclosing(generation.states()) as states:
                async for _ in states:
                    rest = generation.rest_after(request.document, request.offset)
                    is_used_up = from_cache and generation.is_final and not rest
                    if rest is None or is_used_up:
                        break  # typed ahead of it: it wrote something else, or nothing more
                    if rest or generation.is_final:
                        yield self._completion(request, generation, rest, from_cache)
                else:
                    return
            generation, from_cache = None, False

    def update_settings(self, settings: Settings) -> None:
        """Use other settings from the next request on. Engine settings apply to the next engine."""
        self._client.settings = settings.engine
        was_enabled, self._settings = self._settings.enabled, settings
        if was_enabled != settings.enabled:
            is_ready = self._ready is not None and self._ready.done()
            on = "ready" if is_ready else "starting"
            self._set_status(state=on if settings.enabled else "off", reason="")

    def accepted(self, completion_id: str) -> None:
        """The user accepted a completion."""
        if any(g.id == completion_id for t in self._tracks.values() for g in t.generations):
            self.num_accepted += 1

    def closed(self, uri: str) -> None:
        """Forget a document."""
        self._tracks.pop(uri, None)

    async def warm_up(self) -> None:
        """Have an engine running and its vocabulary loaded before the first key."""
        if self._settings.enabled:
            try:
                await self._engine()
            except InklingError as error:
                self._set_status(state="error", reason=str(error))

    async def aclose(self) -> None:
        """End all work. The engine itself goes on: other windows may use it."""
        for track in tuple(self._tracks.values()):
            for generation in tuple(track.generations):
                await generation.cancel()
        if self._ready is not None:
            self._ready.cancel()
        self._thread.shutdown(wait=False, cancel_futures=True)
        await self._client.aclose()

    def _typed_through(self, request: CompletionRequest) -> Generation | None:
        """A generation whose text the user is typing, newest first."""
        track = self._tracks.get(request.document.uri)
        for generation in reversed(track.generations if track else ()):
            rest = generation.rest_after(request.document, request.offset)
            is_live = rest is not None and not generation.is_final
            if (rest or is_live) and not generation.was_cut:
                return generation
        return None

    async def _generate(self, request: CompletionRequest) -> Generation:
        """Start the model on a new completion: gather, plan, ask."""
        document = request.document
        track = self._tracks.setdefault(document.uri, _Track())
        for generation in tuple(track.generations):
            if not generation.is_final:
                await generation.cancel()
        if self._settings.debounce_ms:
            await asyncio.sleep(self._settings.debounce_ms / 1000)
        target = await self._engine()
        loop = asyncio.get_running_loop()
        prepared = await loop.run_in_executor(
            self._thread, prepare, request, track.episode, target, self._settings
        )
        is_block = prepared.extent is Extent.BLOCK
        limit = self._settings.block_tokens if is_block else self._settings.line_tokens
        params = SamplingParams(
            max_tokens=min(limit, target.model.context_len // 2),
            stop=() if is_block else ("\n",),
        )
        pieces = partial(self._pieces, prepared.prompt, params)
        trim = partial(self._trim, prepared.tree)
        generation = Generation(document, request.offset, prepared.extent, pieces, trim)
        track.generations.append(generation)
        return generation

    async def _trim(self, tree: SyntaxTree | None, draft: Draft, num_shown: int) -> str:
        """The last step of a block: see `trim_to_valid_syntax`."""
        if tree is None:
            return draft.text
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._thread, trim_to_valid_syntax, draft, tree, num_shown
        )

    async def _pieces(self, prompt: Prompt, params: SamplingParams) -> AsyncGenerator[Piece, None]:
        """The engine's stream. A failed engine is asked for anew by the next request."""
        try:
            stream = self._client.generate(
                prompt.token_ids, params, Priority.INTERACTIVE, prompt.healing
            )
            async with contextlib.aclosing(stream) as pieces:
                async for piece in pieces:
                    yield piece
        except InklingError as error:
            self._forget_engine(self._ready)
            self._set_status(state="error", reason=str(error))
            raise

    async def _engine(self) -> Target:
        """The model to ask, started if need be. Many may wait for the one start; none ends it."""
        if self._ready is None:
            self._set_status(state="starting")
            self._ready = asyncio.create_task(self._connect())
        starting = self._ready
        try:
            return await asyncio.shield(starting)
        except Exception:
            self._forget_engine(starting)
            raise

    def _forget_engine(self, ready: "asyncio.Task[Target] | None") -> None:
        """Ask anew next time, unless somebody has asked anew already."""
        if self._ready is ready:
            self._ready = None

    async def _connect(self) -> Target:
        model = await self._client.model()
        tokenizer = await asyncio.to_thread(Tokenizer.load, model.root)
        self._set_status(state="ready", model=model.description, kind=model.kind)
        return Target(model, tokenizer)

    def _completion(
        self, request: CompletionRequest, generation: Generation, text: str, from_cache: bool
    ) -> Completion:
        silence = ""
        if generation.is_final:
            silence = "" if text else generation.silence or "nothing to add"
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
