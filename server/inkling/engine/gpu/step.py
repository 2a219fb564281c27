"""Passes of a few tokens as one persistent CUDA kernel (kernels/step.cu): compile, place, launch."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

import torch
from torch import Tensor

from inkling.engine.gpu.layout import Packed
from inkling.engine.gpu.nvrtc import Kernel, KernelError, compile_kernel, most_shared_bytes
from inkling.engine.gpu.step_arguments import MOST_ROWS, Buffers
from inkling.engine.gpu.weights import GpuWeights
from inkling.engine.model.config import GptOssConfig
from inkling.engine.model.paged_kv import KVBits, PagedKV

log = logging.getLogger(__name__)

# Row counts the kernel is compiled for; a pass of another count takes the next.
BUCKETS = (1, 2, MOST_ROWS)
THREADS = 512
FEEDER = 32  # threads more: see feed.cuh
# The kernel's files in their order, after device.cuh.
PARTS = (
    "pass.cuh",
    "feed.cuh",
    "products.cuh",
    "activations.cuh",
    "cache.cuh",
    "attention.cuh",
    "experts.cuh",
    "head.cuh",
    "step.cu",
)


class Unsupported(Exception):
    """This model or GPU is none that the kernel can serve; the message says why."""


@dataclass(frozen=True)
class Shape:
    """What the kernel is compiled for beside the model: all of step.cu's constants follow."""

    rows: int
    blocks: int
    threads: int
    page_len: int
    kv_bits: KVBits
    shared_limit: int  # bytes of shared memory that a block may have
    has_bulk_copies: bool  # whether the GPU has the copy engine of compute capability 9.0


def constants(config: GptOssConfig, weights: GpuWeights, shape: Shape) -> dict[str, str]:
    """The upper-case names of step.cu. Raises Unsupported for a model it cannot express."""
    layers = weights.layers
    widths = {
        "ATTENTION_BITS": {_bits(m) for layer in layers for m in (layer.qkv, layer.attention_out)},
        "GATE_UP_BITS": {_bits(layer.gate_up) for layer in layers},
        "DOWN_BITS": {_bits(layer.down) for layer in layers},
        "HEAD_BITS": {_bits(weights.head)},
    }
    for name, bits in widths.items():
        if len(bits) > 1:
            raise Unsupported(f"matrices of one kind differ in {name.lower()}: {sorted(bits)}")
    if config.head_dim % 16 or config.head_dim > 64 or config.num_experts > 32:
        raise Unsupported("heads of more than 64 dimensions or more than 32 experts")
    if shape.kv_bits == 8 and config.head_dim != 64:
        raise Unsupported(f"8 bits for keys and values of {config.head_dim} dimensions")
    return {
        "HIDDEN": str(config.hidden_size),
        "HEADS": str(config.num_heads),
        "KV_HEADS": str(config.num_kv_heads),
        "HEAD_DIM": str(config.head_dim),
        "EXPERTS": str(config.num_experts),
        "TOP_K": str(config.experts_per_token),
        "INTER": str(config.intermediate_size),
        "VOCAB": str(config.vocab_size),
        "WINDOW": str(config.sliding_window),
        "LAYERS": str(config.num_layers),
        "EPS": f"{config.rms_norm_eps!r}f",
        "LIMIT": f"{config.swiglu_limit!r}f",
        "SCORE_SCALE": f"{config.head_dim**-0.5!r}f",
        "ROWS": str(shape.rows),
        "MOST_ROWS": str(MOST_ROWS),
        "BULK_COPIES": str(int(shape.has_bulk_copies)),
        "SHARED_LIMIT": str(shape.shared_limit),
        "BLOCKS": str(shape.blocks),
        "THREADS": str(shape.threads),
        "PAGE_LEN": str(shape.page_len),
        "KV_BITS": str(shape.kv_bits),
        **{name: str(bits.pop()) for name, bits in widths.items()},
    }


class StepPass:
    """Runs passes of 1 to MOST_ROWS tokens. A row's results do not depend on the other rows."""

    def __init__(
        self, config: GptOssConfig, weights: GpuWeights, page_len: int, kv_bits: KVBits
    ) -> None:
        """Compile for the GPU the weights lie on (cached on disk), and allocate what passes share.

        Raises Unsupported where the kernel cannot serve the model or cannot be compiled here.
        """
        device = weights.norm.device
        properties = torch.cuda.get_device_properties(device)
        blocks = properties.multi_processor_count
        try:
            shared_limit = most_shared_bytes(device)
        except KernelError as error:
            raise Unsupported(str(error)) from error
        self._kernels: dict[int, Kernel] = {}
        most_floats = 0
        for rows in BUCKETS:
            shape = Shape(
                rows,
                blocks,
                THREADS,
                page_len,
                kv_bits,
                shared_limit,
                has_bulk_copies=properties.major >= 9,
            )
            try:
                self._kernels[rows] = compile_kernel(
                    source(),
                    constants(config, weights, shape),
                    "gpt_oss_pass",
                    device,
                )
            except KernelError as error:
                if rows == BUCKETS[0]:
                    raise Unsupported(str(error)) from error
                # Most likely it needs more shared memory than this GPU has.
                log.info("no fused passes of %d tokens: %s", rows, error)
                break
            most_floats = max(most_floats, self._kernels[rows].scratch_floats)
        self.most_rows = max(self._kernels)
        self._blocks = blocks
        self._buffers = Buffers(config, weights, self.most_rows, most_floats)

    def run(
        self,
        token_ids: Sequence[int] | Tensor,
        start: int,
        page_table: Tensor,
        kv: PagedKV,
        num_logits: int,
    ) -> tuple[Tensor, Tensor]:
        """One pass on the current stream; returns at once.

        `token_ids`: ids, or an int32 tensor of one id on the device. `page_table`: int32 on the
        device. Returns fp32 logits `[num_logits, vocab]` and the likeliest token of each, int32;
        both are overwritten by the second pass after this one. Raises KernelError; nothing runs
        then.
        """
        num_rows = 1 if isinstance(token_ids, Tensor) else len(token_ids)
        rows = next(bucket for bucket in self._kernels if bucket >= num_rows)
        logits, chosen = self._buffers.next_outputs()
        fields = self._buffers.fields(token_ids, start, page_table, kv, num_logits, logits, chosen)
        self._kernels[rows].launch(self._blocks, THREADS + FEEDER, fields)
        self._buffers.count_pass(self._blocks)
        return logits[num_rows - num_logits : num_rows], chosen[num_rows - num_logits : num_rows]


def source() -> str:
    """The kernel with all it is made of, as one text."""
    folder = files("inkling.engine.gpu.kernels")
    return "".join(folder.joinpath(name).read_text() for name in ("device.cuh", *PARTS))


def _bits(matrix: object) -> int:
    if not isinstance(matrix, Packed):
        raise Unsupported("matrices that are not quantized")
    return matrix.bits
