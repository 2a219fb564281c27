"""Our engine as an editor's server uses it: its own process, HTTP and streaming on a unix socket.

Measured from before the request is built to the first and the last event of the stream, healing
included: the engine checks the tokens of the word being typed before it goes on.
"""

import asyncio
import contextlib
import os
import signal
import tempfile
import time
from pathlib import Path

from inkling.client import EngineClient, SamplingParams
from inkling.config import EngineSettings

from .base import Shapes, Timing


class InklingPeer:
    """`folder`: an EXL2 checkpoint, None: the demo model. The shapes are the checkpoint's own."""

    name = "inkling"
    max_keys: int | None = None

    def start(self, folder: Path | None, shapes: Shapes) -> None:
        self._runtime = tempfile.TemporaryDirectory(prefix="ink-")
        os.environ["INKLING_RUNTIME_DIR"] = self._runtime.name
        os.environ["XDG_STATE_HOME"] = self._runtime.name
        self._loop = asyncio.new_event_loop()
        self._client = EngineClient(EngineSettings(model=str(folder) if folder else None))
        model = self._loop.run_until_complete(self._client.model())
        self._pid = model.pid
        self.name = f"inkling ({model.description})"

    def complete(self, token_ids: list[int], max_tokens: int, healing: int) -> Timing:
        return self._loop.run_until_complete(self._complete(token_ids, max_tokens, healing))

    async def _complete(self, token_ids: list[int], max_tokens: int, healing: int) -> Timing:
        start = time.perf_counter()
        first = last = 0.0
        tokens = reused = 0
        params = SamplingParams(max_tokens=max_tokens)
        async for piece in self._client.generate(token_ids, params, healing=healing):
            last = time.perf_counter()
            first = first or last
            if piece.usage is not None:
                tokens, reused = piece.usage.completion_tokens, piece.usage.reused
        return Timing((first - start) * 1000, (last - start) * 1000, tokens, reused)

    def close(self) -> None:
        self._loop.run_until_complete(self._client.aclose())
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGTERM)
            for _ in range(400):  # the next engine must find the GPU empty
                os.kill(self._pid, 0)
                time.sleep(0.05)
        self._runtime.cleanup()
