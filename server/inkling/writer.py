"""From a request to the model's words for it: prepares, asks the engine, filters what comes.

Owns the connection to the engine, the workspaces, the one thread for slow pure work, every
generation that runs, and the trace of what was sent.
Event loop only.
"""

import asyncio
import contextlib
import math
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from inkling.client import EngineClient, Piece, SamplingParams
from inkling.config import Settings
from inkling.context.syntax import SyntaxTree
from inkling.core import CompletionRequest, Extent, Priority, TriggerKind
from inkling.errors import InklingError
from inkling.function.reasoning import NUM_MARKS, prompt_after, reasoning_prompt, reasons
from inkling.generation import Generation
from inkling.postprocess import Draft, Place
from inkling.postprocess.valid_syntax import trim_to_valid_syntax
from inkling.preparation import EditEpisode, Prepared, Target, prepare, prepare_anew
from inkling.prompt.plan import Prompt
from inkling.tokenizer import Tokenizer
from inkling.trace import ModelCall, Trace
from inkling.workspace.workspace import Workspaces

_T = TypeVar("_T")

# How alternatives are sampled.
TEMPERATURE = 0.8
TOP_P = 0.95


@dataclass(frozen=True)
class Ready:
    """A request that the model can be asked for at once."""

    request: CompletionRequest
    prepared: Prepared
    target: Target


class Writer:
    """Begins generations, for all documents of one server."""

    def __init__(
        self, client: EngineClient, settings: Settings, set_status: Callable[..., None]
    ) -> None:
        """`set_status` is called with the fields of `Status` that change."""
        self.settings = settings
        self.workspaces = Workspaces()
        self.trace = Trace()
        self._client = client
        self._set_status = set_status
        self._engine: asyncio.Task[Target] | None = None
        self._running: set[Generation] = set()
        # One thread: parsers and episodes have one user at a time, and a key needs no more.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="inkling-context")

    @property
    def has_engine(self) -> bool:
        return self._engine is not None and self._engine.done()

    async def prepare(self, request: CompletionRequest, episode: EditEpisode) -> Ready:
        """Gather and plan. Raises InklingError where no engine can be had."""
        return await self._prepare(request, episode, self.settings)

    async def prepare_function(self, request: CompletionRequest) -> Ready:
        """Gather and plan for a whole function, and have a model that reasons think about it first.

        Raises InklingError where the engine fails or none can be had.
        """
        model, settings = (await self.engine()).model, self.settings
        num_thoughts = settings.reasoning_tokens if reasons(model.kind) else 0
        room = model.context_len - settings.function_tokens - num_thoughts - NUM_MARKS
        budget = min(settings.prompt_tokens, max(room, model.context_len // 2))
        for_prompt = settings.model_copy(update={"prompt_tokens": budget})
        ready = await self._prepare(request, EditEpisode(), for_prompt)
        prepared = replace(ready.prepared, extent=Extent.BLOCK, is_function=True)
        if num_thoughts and budget <= room:
            prompt = await self._after_reasoning(replace(ready, prepared=prepared), num_thoughts)
            prepared = replace(prepared, prompt=prompt)
        return replace(ready, prepared=prepared)

    async def refreshed(
        self, request: CompletionRequest, episode: EditEpisode
    ) -> EditEpisode | None:
        """An episode with related code as it is now, its prompt prefilled; None if nothing changes.

        Raises InklingError where the engine fails.
        """
        target = await self.engine()
        workspace = self.workspaces.of(request.document.uri)
        work = partial(prepare_anew, request, episode, target, self.settings, workspace)
        found = await self.in_thread(work)
        if found is None:
            return None
        anew, prompt = found
        stream = self._client.generate(
            prompt.token_ids, SamplingParams(max_tokens=0), Priority.IDLE, prompt.healing
        )
        async with contextlib.aclosing(stream) as pieces:
            async for _ in pieces:
                pass
        return anew

    def begin(
        self, ready: Ready, priority: Priority = Priority.INTERACTIVE, seed: int | None = None
    ) -> Generation:
        """Have the model write: its likeliest text, or with a `seed` another one."""
        prepared, request = ready.prepared, ready.request
        place = _place(ready)
        is_line = prepared.extent is Extent.LINE and not place.is_last_of_statement
        is_invoked = request.trigger is TriggerKind.INVOKED
        confidence = 0.0 if is_invoked else self.settings.min_confidence
        params = SamplingParams(
            max_tokens=self._limit(ready, is_line=is_line),
            temperature=0.0 if seed is None else TEMPERATURE,
            top_p=1.0 if seed is None else TOP_P,
            seed=seed,
            stop=("\n",) if is_line else (),
            logprobs=0 if confidence else None,
        )
        generation = Generation(
            request.document,
            request.offset,
            place,
            partial(
                self._pieces, ready, prepared.prompt, params, priority, _purpose(priority, seed)
            ),
            partial(self._trim, prepared.tree),
            math.log(confidence) if confidence else -math.inf,
        )
        self._running = {each for each in self._running if not each.is_final} | {generation}
        return generation

    async def _prepare(
        self, request: CompletionRequest, episode: EditEpisode, settings: Settings
    ) -> Ready:
        target = await self.engine()
        workspace = self.workspaces.of(request.document.uri)
        work = partial(prepare, request, episode, target, settings, workspace)
        return Ready(request, await self.in_thread(work), target)

    async def _after_reasoning(self, ready: Ready, max_tokens: int) -> Prompt:
        """The prompt as it is asked after the model has thought, `max_tokens` at most."""
        prompt, tokenizer, thoughts = ready.prepared.prompt, ready.target.tokenizer, list[int]()
        asked, params = reasoning_prompt(prompt, tokenizer), SamplingParams(max_tokens=max_tokens)
        stream = self._pieces(ready, asked, params, Priority.INTERACTIVE, "reasoning")
        async with contextlib.aclosing(stream) as pieces:
            async for piece in pieces:
                thoughts += (it for it in piece.token_ids if tokenizer.token_bytes(it))
        return prompt_after(thoughts, prompt, tokenizer)

    def _limit(self, ready: Ready, *, is_line: bool) -> int:
        """Most tokens of the answer; `is_line`: it ends with its line, whatever stands there. A described function may take all that its prompt has left of
        the context, since prompts leave room for a block only."""
        prepared, context_len = ready.prepared, ready.target.model.context_len
        is_block = prepared.extent is Extent.BLOCK
        limit = self.settings.line_tokens if is_line else self.settings.block_tokens
        limit = min(limit, context_len // 2)
        if is_block and prepared.is_function:
            room = min(context_len // 2, context_len - len(prepared.prompt.token_ids))
            limit = min(self.settings.function_tokens, max(limit, room))
        return limit

    async def engine(self) -> Target:
        """The model to ask, started if need be. Many may wait for the one start; none ends it."""
        if self._engine is None:
            self._set_status(state="starting")
            self._engine = asyncio.create_task(self._connect())
        starting = self._engine
        try:
            return await asyncio.shield(starting)
        except Exception:
            self._forget_engine(starting)
            raise

    def update_settings(self, settings: Settings) -> None:
        """Use other settings from the next request on. Engine settings apply to the next engine."""
        self.settings = settings
        self._client.settings = settings.engine

    async def aclose(self) -> None:
        """End all work. The engine itself goes on: other windows may use it."""
        for generation in tuple(self._running):
            await generation.cancel()
        if self._engine is not None:
            self._engine.cancel()
        self._thread.shutdown(wait=False, cancel_futures=True)
        await self.workspaces.aclose()
        await self._client.aclose()

    async def _trim(self, tree: SyntaxTree | None, draft: Draft, num_shown: int) -> str:
        """The last step: see `trim_to_valid_syntax`."""
        if tree is None:
            return draft.text
        return await self.in_thread(partial(trim_to_valid_syntax, draft, tree, num_shown))

    async def _pieces(
        self,
        ready: Ready,
        prompt: Prompt,
        params: SamplingParams,
        priority: Priority,
        purpose: str,
    ) -> AsyncGenerator[Piece, None]:
        """The engine's stream. A failed engine is asked for anew by the next request."""
        engine, tokenizer = self._engine, ready.target.tokenizer
        call = ModelCall(
            ready.request.document.path, purpose, ready.target.model, tokenizer, prompt.token_ids
        )
        self.trace.add(call)
        try:
            stream = self._client.generate(prompt.token_ids, params, priority, prompt.healing)
            async with contextlib.aclosing(stream) as pieces:
                async for piece in pieces:
                    call.answer += piece.text
                    call.usage = piece.usage or call.usage
                    yield piece if _is_free(piece, tokenizer) else replace(piece, logprob=None)
        except InklingError as error:
            # What was to be written ahead is missed by nobody: the engine may have dropped it.
            if priority is Priority.INTERACTIVE:
                self._forget_engine(engine)
                self._set_status(state="error", reason=str(error))
            raise

    def _forget_engine(self, engine: "asyncio.Task[Target] | None") -> None:
        """Ask anew next time, unless somebody has asked anew already."""
        if self._engine is engine:
            self._engine = None

    async def _connect(self) -> Target:
        model = await self._client.model()
        tokenizer = await asyncio.to_thread(Tokenizer.load, model.root)
        about = {"model": model.description, "kind": model.kind, "where": model.where}
        self._set_status(state="ready", **about)
        return Target(model, tokenizer)

    async def in_thread(self, work: Callable[[], _T]) -> _T:
        """Do slow pure work where it keeps nobody waiting."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


def _place(ready: Ready) -> Place:
    document, offset = ready.request.document, ready.request.offset
    before, suffix = document.text[:offset], document.text[offset:]
    return Place(before, suffix, ready.prepared.extent, document.language)


def _purpose(priority: Priority, seed: int | None) -> str:
    """What a generation is for, in the trace's words."""
    if priority is Priority.PREFETCH:
        return "written ahead"
    return "completion" if seed is None else "alternative"


def _is_free(piece: Piece, tokenizer: Tokenizer) -> bool:
    """Whether the model chose a token freely and within a line: one that repeats what was typed tells
    how likely that was, and one with a line end in it how likely more lines were."""
    token = tokenizer.decode_bytes(list(piece.token_ids))
    return piece.text.encode() == token and "\n" not in piece.text
