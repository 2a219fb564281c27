"""vLLM's asynchronous engine with prefix caching and dummy weights, in process and without HTTP.

Measured from the token ids to the first and the last streamed output.
"""

import asyncio
import time
from pathlib import Path
from typing import Any

from .base import Shapes, Timing, module

CONTEXT = 10_240
MEMORY_SHARE = 0.5  # of the GPU; vLLM takes all it may


class VllmPeer:
    """`folder`: a gpt-oss checkpoint's config.json; its weights are not read."""

    name = "vLLM (prefix caching, dummy weights)"
    max_keys: int | None = None

    def start(self, folder: Path | None, shapes: Shapes) -> None:
        if folder is None:
            raise ValueError("vLLM needs a folder with the model's config.json: vllm=FOLDER")
        self._vllm = module("vllm")
        arguments = self._vllm.AsyncEngineArgs(
            model=str(folder),
            load_format="dummy",
            skip_tokenizer_init=True,
            enable_prefix_caching=True,
            max_model_len=CONTEXT,
            max_num_seqs=4,
            gpu_memory_utilization=MEMORY_SHARE,
        )
        self._loop = asyncio.new_event_loop()
        self._num_requests = 0

        async def start() -> Any:
            return self._vllm.AsyncLLMEngine.from_engine_args(arguments)

        self._engine: Any = self._loop.run_until_complete(start())

    def complete(self, token_ids: list[int], max_tokens: int, healing: int) -> Timing:
        return self._loop.run_until_complete(self._complete(token_ids, max_tokens))

    async def _complete(self, token_ids: list[int], max_tokens: int) -> Timing:
        start = time.perf_counter()
        params = self._vllm.SamplingParams(
            temperature=0.0, max_tokens=max_tokens, ignore_eos=True, detokenize=False
        )
        self._num_requests += 1
        first = last = 0.0
        tokens, reused = 0, None
        prompt = {"prompt_token_ids": token_ids}
        async for output in self._engine.generate(prompt, params, str(self._num_requests)):
            last = time.perf_counter()
            first = first or last
            tokens, reused = len(output.outputs[0].token_ids), output.num_cached_tokens
        return Timing((first - start) * 1000, (last - start) * 1000, tokens, reused)

    def close(self) -> None:
        self._engine.shutdown()
        self._loop.close()
