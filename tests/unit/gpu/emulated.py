"""step.cu compiled for the CPU (emulator.h): the same passes as `StepPass`, without a GPU."""

import ctypes
import hashlib
import os
import subprocess
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import torch
from torch import Tensor

from inkling.engine.gpu.step import BUCKETS, PARTS, Shape, constants
from inkling.engine.gpu.step_arguments import Buffers, PassFields
from inkling.engine.gpu.weights import GpuWeights
from inkling.engine.model.config import GptOssConfig
from inkling.engine.model.paged_kv import KVBits, PagedKV

HERE = Path(__file__).parent
BLOCKS = 3
THREADS = 128
SHARED_LIMIT = 232_448


class EmulatedStep:
    """What `StepPass.run` does."""

    def __init__(
        self,
        config: GptOssConfig,
        weights: GpuWeights,
        page_len: int,
        folder: Path,
        kv_bits: KVBits = 16,
        has_bulk_copies: bool = True,
        shared_limit: int = SHARED_LIMIT,
        threads: int = THREADS,
        blocks: int = BLOCKS,
    ) -> None:
        """Compile each row count into `folder`, once for each set of constants."""
        self.kv_bits = kv_bits
        self._libraries: dict[int, ctypes.CDLL] = {}
        num_floats = 0
        for rows in BUCKETS:
            shape = Shape(rows, blocks, threads, page_len, kv_bits, shared_limit, has_bulk_copies)
            self._libraries[rows] = _compile(constants(config, weights, shape), folder)
            sizes = (ctypes.c_uint64 * 2).in_dll(self._libraries[rows], "sizes")
            num_floats = max(num_floats, sizes[0])
        self._blocks = blocks
        self._buffers = Buffers(config, weights, BUCKETS[-1], num_floats)

    def run(
        self,
        token_ids: Sequence[int] | Tensor,
        start: int,
        page_table: Tensor,
        kv: PagedKV,
        num_logits: int,
        rows: int | None = None,
    ) -> tuple[Tensor, Tensor]:
        """As `StepPass.run`; `rows` asks for a wider kernel than the tokens need."""
        count = 1 if isinstance(token_ids, Tensor) else len(token_ids)
        rows = rows or next(bucket for bucket in BUCKETS if bucket >= count)
        logits, chosen = self._buffers.next_outputs()
        logits.fill_(torch.nan)
        chosen.fill_(-1)
        fields = self._buffers.fields(token_ids, start, page_table, kv, num_logits, logits, chosen)
        assert self._libraries[rows].emulate(ctypes.byref(fields)) == 0, "a barrier never opened"
        self._buffers.count_pass(self._blocks)
        return logits[count - num_logits : count], chosen[count - num_logits : count]


def _compile(defines: dict[str, str], folder: Path) -> ctypes.CDLL:
    source = folder / "pass.cu"
    kernels = files("inkling.engine.gpu.kernels")
    source.write_text("".join(kernels.joinpath(name).read_text() for name in PARTS))
    options = [*(f"-D{name}={value}" for name, value in defines.items())]
    texts = [source, HERE / "emulate.cpp", HERE / "emulator.h"]
    parts = [*options, *(file.read_text() for file in texts)]
    name = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
    library = folder / f"{name}.so"
    if not library.is_file():
        part = folder / f"{name}.{os.getpid()}.part"
        command = ["g++", "-O2", "-std=c++17", "-ffp-contract=off", "-w", "-shared", "-fPIC"]
        command += [*options, f'-DSTEP_SOURCE="{source}"', str(HERE / "emulate.cpp")]
        subprocess.run([*command, "-o", str(part)], check=True)
        part.replace(library)
    loaded = ctypes.CDLL(str(library))
    loaded.emulate.argtypes = [ctypes.POINTER(PassFields)]
    return loaded
