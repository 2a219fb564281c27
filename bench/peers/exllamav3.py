"""exllamav3's dynamic generator on an EXL3 checkpoint of random weights, in process and without HTTP.

Measured from the token ids to the generator's first and last streamed result.
"""

import time
from pathlib import Path
from typing import Any

import torch

from .base import Shapes, Timing, module
from .random_exl3 import write_exl3

CACHED_TOKENS = 16_384  # as many as our engine keeps by default


class ExLlamaV3Peer:
    """`folder`: where the random checkpoint is, or is written to when it is not there. `swa_full` keeps
    whole sliding-window layers; its default keeps their last window and snapshots of it."""

    max_keys: int | None = None

    def __init__(self, *, swa_full: bool) -> None:
        self._swa_full = swa_full
        self.name = f"exllamav3 (EXL3, {'swa_full' if swa_full else 'its default cache'})"

    def start(self, folder: Path | None, shapes: Shapes) -> None:
        if folder is None:
            raise ValueError("exllamav3 needs a folder for its model: exllamav3=FOLDER")
        self._package = module("exllamav3")
        folder = folder / f"random-{shapes.layers}x{shapes.hidden}"
        if not (folder / "config.json").exists():
            folder.mkdir(parents=True, exist_ok=True)
            write_exl3(folder, shapes)
        config = self._package.Config.from_directory(str(folder))
        self._model: Any = self._package.Model.from_config(config, swa_full=self._swa_full)
        cache = self._package.Cache(self._model, max_num_tokens=CACHED_TOKENS)
        self._model.load()
        tokenizer = self._package.Tokenizer.from_config(config)
        self._generator: Any = self._package.Generator(self._model, cache, tokenizer)

    def complete(self, token_ids: list[int], max_tokens: int, healing: int) -> Timing:
        start = time.perf_counter()
        job = self._package.Job(
            torch.tensor([token_ids]),
            max_new_tokens=max_tokens,
            sampler=self._package.ArgmaxSampler(),
        )
        self._generator.enqueue(job)
        first = last = 0.0
        tokens, reused = 0, None
        while self._generator.num_remaining_jobs():
            for result in self._generator.iterate():
                if result["stage"] == "streaming":
                    last = time.perf_counter()
                    first = first or last
                    if result["eos"]:
                        tokens, reused = result["new_tokens"], result["cached_tokens"]
        return Timing((first - start) * 1000, (last - start) * 1000, tokens, reused)

    def close(self) -> None:
        self._model.unload()
