"""The engine client as the completer sees it, with a script instead of a model. Its likeness to the
real one is checked in tests/e2e."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import inkling
from inkling.client import EngineModel, Piece, SamplingParams
from inkling.core import Priority, Usage
from inkling.errors import EngineUnavailable
from inkling.tokenizer import Tokenizer

ROOT = Path(inkling.__file__).parent / "models" / "demo"
TOKENIZER = Tokenizer.load(ROOT)


class FakeClient:
    """Writes `script` in pieces of three characters, pausing at each `gate` until it is opened.

    Instead of the script, `write` may say what follows a prompt (its text), and `samples` what comes
    at each seed. `prompts` are the requests of keys, `ahead` those of look-aheads, which write
    nothing unless there is `write`. The engine takes until `started` to come. Each piece's log-probability is `logprob`.
    """

    def __init__(self, script: str = "") -> None:
        self.script = script
        self.write: Callable[[str], str] | None = None
        self.samples: list[str] = []
        self.logprob = 0.0
        self.prompts: list[str] = []
        self.ahead: list[str] = []
        self.params: list[SamplingParams] = []
        self.num_running = 0
        self.num_interactive = self.most_interactive = 0
        self.num_cancelled = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.started = asyncio.Event()
        self.started.set()
        self.num_starts = 0
        self.failure: Exception | None = None
        self.is_closed = False
        self.settings: object = None

    async def model(self) -> EngineModel:
        self.num_starts += 1
        await self.started.wait()
        if self.failure is not None:
            raise self.failure
        return EngineModel("fake", ROOT, 1280, "demo", "cpu", "fake model", 1)

    async def generate(
        self,
        prompt: list[int],
        params: SamplingParams,
        priority: Priority = Priority.INTERACTIVE,
        healing: int = 0,
    ) -> AsyncGenerator[Piece, None]:
        asked = TOKENIZER.decode(prompt)
        is_key = priority is Priority.INTERACTIVE
        (self.prompts if is_key else self.ahead).append(asked)
        if is_key:
            self.params.append(params)
        text = self._text(asked, params, is_key)
        for stop in params.stop:
            text = text.split(stop, 1)[0]
        is_over = False
        self.num_running += 1
        self.num_interactive += is_key
        self.most_interactive = max(self.most_interactive, self.num_interactive)
        try:
            for at in range(0, len(text), 3):
                await self.gate.wait()
                await asyncio.sleep(0)
                if isinstance(self.failure, EngineUnavailable):
                    raise self.failure
                piece = text[at : at + 3]
                ids = tuple(TOKENIZER.encode(piece))
                yield Piece(piece, ids, logprob=None if params.logprobs is None else self.logprob)
                if at == 0:
                    yield Piece(usage=Usage(prompt_tokens=len(prompt), completion_tokens=1))
            is_over = True
            yield Piece(usage=Usage(prompt_tokens=len(prompt)))
        finally:
            self.num_running -= 1
            self.num_interactive -= is_key
            self.num_cancelled += is_key and not is_over

    def _text(self, asked: str, params: SamplingParams, is_key: bool) -> str:
        if params.seed is not None and self.samples:
            return self.samples[params.seed % len(self.samples)]
        if self.write is not None:
            return self.write(asked)
        return self.script if is_key else ""

    async def aclose(self) -> None:
        self.is_closed = True
