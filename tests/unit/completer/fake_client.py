"""The engine client as the completer sees it, with a script instead of a model. Its likeness to the
real one is checked in tests/e2e."""

import asyncio
from collections.abc import AsyncGenerator
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

    `prompts` are the requests seen, as text.
    """

    def __init__(self, script: str = "") -> None:
        self.script = script
        self.prompts: list[str] = []
        self.params: list[SamplingParams] = []
        self.num_cancelled = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.failure: Exception | None = None
        self.is_closed = False
        self.settings: object = None

    async def model(self) -> EngineModel:
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
        self.prompts.append(TOKENIZER.decode(prompt))
        self.params.append(params)
        text = self.script
        for stop in params.stop:
            text = text.split(stop, 1)[0]
        is_over = False
        try:
            for at in range(0, len(text), 3):
                await self.gate.wait()
                await asyncio.sleep(0)
                if isinstance(self.failure, EngineUnavailable):
                    raise self.failure
                yield Piece(text[at : at + 3])
            is_over = True
            yield Piece(usage=Usage(prompt_tokens=len(prompt)))
        finally:
            self.num_cancelled += not is_over

    async def aclose(self) -> None:
        self.is_closed = True
