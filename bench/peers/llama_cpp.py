"""llama.cpp through llama-cpp-python's `Llama`, which keeps the common prefix of its last prompt.

In process, without HTTP: that flatters it against an engine behind a socket. All layers on the GPU,
flash attention, and the sliding-window layers' whole cache (`swa_full`): without it a prefix cannot
be kept and be right. Measured from the token ids to the first and the last sampled id.
"""

import time
from pathlib import Path
from typing import Any

from .base import Shapes, Timing, common_len, module
from .random_gguf import write_gguf

CONTEXT = 10_240


class LlamaCppPeer:
    """`folder`: where the random GGUF is, or is written to when it is not there."""

    name = "llama.cpp (llama-cpp-python, MXFP4 experts, swa_full)"
    max_keys: int | None = None

    def start(self, folder: Path | None, shapes: Shapes) -> None:
        if folder is None:
            raise ValueError("llama.cpp needs a folder for its model: llama.cpp=FOLDER")
        # Its libraries link to CUDA's; torch, where it is there, has loaded them from its packages.
        module("torch")
        llama_cpp = module("llama_cpp")
        file = folder / f"random-{shapes.layers}x{shapes.hidden}.gguf"
        if not file.exists():
            folder.mkdir(parents=True, exist_ok=True)
            draft = file.with_suffix(".part")
            write_gguf(draft, shapes)
            draft.rename(file)
        self._llama: Any = llama_cpp.Llama(
            str(file),
            n_gpu_layers=-1,
            n_ctx=CONTEXT,
            n_batch=2048,
            flash_attn=True,
            swa_full=True,
            verbose=False,
        )

    def complete(self, token_ids: list[int], max_tokens: int, healing: int) -> Timing:
        start = time.perf_counter()
        known = self._llama.input_ids[: self._llama.n_tokens].tolist()
        reused = min(common_len(known, token_ids), len(token_ids) - 1)
        times = []
        for _ in self._llama.generate(token_ids, temp=0.0):
            times.append(time.perf_counter())
            if len(times) == max_tokens:
                break
        return Timing(1000 * (times[0] - start), 1000 * (times[-1] - start), len(times), reused)

    def close(self) -> None:
        self._llama.close()
