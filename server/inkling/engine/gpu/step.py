"""Passes of a few tokens as one persistent CUDA kernel (kernels/step.cu): compile, place, launch."""

import ctypes
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

import torch
from torch import Tensor

from inkling.engine.gpu.layout import Packed
from inkling.engine.gpu.nvrtc import Kernel, KernelError, compile_kernel, most_shared_bytes
from inkling.engine.gpu.weights import GpuLayer, GpuWeights
from inkling.engine.model.config import GptOssConfig
from inkling.engine.model.paged_kv import PagedKV
from inkling.engine.model.rope import inverse_frequencies

log = logging.getLogger(__name__)

# Row counts the kernel is compiled for; a pass of another count takes the next.
BUCKETS = (1, 2, 4, 8)
MOST_ROWS = BUCKETS[-1]
THREADS = 512
# Grid barriers of a layer in step.cu.
BARRIERS = 5
# Quads of weights that each warp has in shared memory or on their way there, at most. On an H200 a pass
# of one token took 1.50 ms with 3 and 1.59 with 10.
MOST_RING = 3
# The kernel's files in their order, after device.cuh.
PARTS = (
    "pass.cuh",
    "products.cuh",
    "activations.cuh",
    "attention.cuh",
    "experts.cuh",
    "head.cuh",
    "step.cu",
)


class Unsupported(Exception):
    """This model or GPU is none that the kernel can serve; the message says why."""


class MatFields(ctypes.Structure):
    """`Mat` of step.cu: device addresses."""

    _fields_ = [(name, ctypes.c_uint64) for name in ("words", "high", "steps", "scale_max", "perm")]


class PassFields(ctypes.Structure):
    """`Pass` of step.cu."""

    _fields_ = [
        ("layers", ctypes.c_uint64),
        ("embedding", ctypes.c_uint64),
        ("norm", ctypes.c_uint64),
        ("head", MatFields),
        ("rotary", ctypes.c_uint64),
        ("keys", ctypes.c_uint64),
        ("values", ctypes.c_uint64),
        ("layer_stride", ctypes.c_uint64),
        ("page_table", ctypes.c_uint64),
        ("token_source", ctypes.c_uint64),
        ("scratch", ctypes.c_uint64),
        ("logits", ctypes.c_uint64),
        ("chosen", ctypes.c_uint64),
        ("barrier", ctypes.c_uint64),
        ("tickets", ctypes.c_uint64),
        ("barrier_base", ctypes.c_uint32),
        ("start", ctypes.c_int),
        ("num_rows", ctypes.c_int),
        ("first_logits", ctypes.c_int),
        ("tokens", ctypes.c_int * MOST_ROWS),
    ]


@dataclass(frozen=True)
class Shape:
    """What the kernel is compiled for beside the model: all of step.cu's constants follow."""

    rows: int
    blocks: int
    threads: int
    page_len: int
    shared_limit: int  # bytes of shared memory that a block may have


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
        "MOST_RING": str(MOST_RING),
        "SHARED_LIMIT": str(shape.shared_limit),
        "BLOCKS": str(shape.blocks),
        "THREADS": str(shape.threads),
        "PAGE_LEN": str(shape.page_len),
        **{name: str(bits.pop()) for name, bits in widths.items()},
    }


def layer_table(config: GptOssConfig, layers: Sequence[GpuLayer]) -> Tensor:
    """`Layer` of step.cu for each layer: int64 `[layers, 29]` of device addresses, on the CPU."""
    return torch.tensor(
        [
            [
                layer.input_norm.data_ptr(),
                *_addresses(layer.qkv),
                layer.qkv_bias.data_ptr(),
                layer.sinks.data_ptr(),
                *_addresses(layer.attention_out),
                layer.attention_out_bias.data_ptr(),
                layer.post_attention_norm.data_ptr(),
                layer.router.data_ptr(),
                layer.router_bias.data_ptr(),
                *_addresses(layer.gate_up),
                layer.gate_up_bias.data_ptr(),
                *_addresses(layer.down),
                layer.down_bias.data_ptr(),
                int(is_sliding),
            ]
            for layer, is_sliding in zip(layers, config.is_sliding, strict=True)
        ],
        dtype=torch.int64,
    )


class StepPass:
    """Runs passes of 1 to MOST_ROWS tokens. A row's results do not depend on the other rows."""

    def __init__(self, config: GptOssConfig, weights: GpuWeights, page_len: int) -> None:
        """Compile for the GPU the weights lie on (cached on disk), and allocate what passes share.

        Raises Unsupported where the kernel cannot serve the model or cannot be compiled here.
        """
        device = weights.norm.device
        blocks = torch.cuda.get_device_properties(device).multi_processor_count
        try:
            shared_limit = most_shared_bytes(device)
        except KernelError as error:
            raise Unsupported(str(error)) from error
        self._kernels: dict[int, Kernel] = {}
        most_floats = 0
        for rows in BUCKETS:
            shape = Shape(rows, blocks, THREADS, page_len, shared_limit)
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
        self._kernels[rows].launch(self._blocks, THREADS, fields)
        self._buffers.count_pass(self._blocks)
        return logits[num_rows - num_logits : num_rows], chosen[num_rows - num_logits : num_rows]


class Buffers:
    """The device memory that passes share, and the arguments made of it."""

    def __init__(
        self, config: GptOssConfig, weights: GpuWeights, most_rows: int, num_floats: int
    ) -> None:
        """Allocate on the device of `weights`."""
        device = weights.norm.device
        self._config = config
        self._rotary = torch.empty(0, device=device)
        self._table = layer_table(config, weights.layers).to(device)
        self._scratch = torch.zeros(num_floats, device=device)
        self._barrier = torch.zeros(1, dtype=torch.int32, device=device)
        self._barrier_count = 0
        self._num_layers = config.num_layers
        self._tickets = torch.zeros(config.num_kv_heads + 1, dtype=torch.int32, device=device)
        # Two of each: a pass is launched while the results of the one before are still read.
        self._outputs = [
            (
                torch.zeros(most_rows, config.vocab_size, device=device),
                torch.zeros(most_rows, dtype=torch.int32, device=device),
            )
            for _ in range(2)
        ]
        self._weights = weights

    def _rotary_for(self, kv: PagedKV) -> Tensor:
        """fp32 `[positions, head_dim / 2, 2]`: cosine and sine of every position the store can hold."""
        num_positions = kv.num_pages * kv.page_len
        if len(self._rotary) < num_positions:
            inv_freq, factor = inverse_frequencies(self._config)
            angles = torch.outer(torch.arange(num_positions).float(), inv_freq)
            table = torch.stack((angles.cos(), angles.sin()), -1) * factor
            self._rotary = table.to(self._rotary.device)
        return self._rotary

    def count_pass(self, blocks: int) -> None:
        """Say that a pass has been started. One that was not must not be counted: every block of the
        next would wait for it."""
        arrivals = self._num_layers * BARRIERS * blocks
        self._barrier_count = (self._barrier_count + arrivals) % 2**32

    def next_outputs(self) -> tuple[Tensor, Tensor]:
        """`logits` `[most_rows, vocab]` and `chosen` `[most_rows]` of the next pass."""
        self._outputs.reverse()
        return self._outputs[0]

    def fields(
        self,
        token_ids: Sequence[int] | Tensor,
        start: int,
        page_table: Tensor,
        kv: PagedKV,
        num_logits: int,
        logits: Tensor,
        chosen: Tensor,
    ) -> PassFields:
        """The kernel's argument. `token_ids` and the rest are those of `StepPass.run`."""
        is_on_device = isinstance(token_ids, Tensor)
        num_rows = 1 if is_on_device else len(token_ids)
        weights = self._weights
        return PassFields(
            layers=self._table.data_ptr(),
            embedding=weights.embedding.data_ptr(),
            norm=weights.norm.data_ptr(),
            head=MatFields(*_addresses(weights.head)),
            rotary=self._rotary_for(kv).data_ptr(),
            keys=kv.keys.data_ptr(),
            values=kv.values.data_ptr(),
            layer_stride=kv.keys.stride(0),
            page_table=page_table.data_ptr(),
            token_source=token_ids.data_ptr() if isinstance(token_ids, Tensor) else 0,
            scratch=self._scratch.data_ptr(),
            logits=logits.data_ptr(),
            chosen=chosen.data_ptr(),
            barrier=self._barrier.data_ptr(),
            tickets=self._tickets.data_ptr(),
            barrier_base=self._barrier_count,
            start=start,
            num_rows=num_rows,
            first_logits=num_rows - num_logits,
            tokens=(0,) * MOST_ROWS
            if isinstance(token_ids, Tensor)
            else (*token_ids, *(0,) * (MOST_ROWS - num_rows)),
        )


def source() -> str:
    """The kernel with all it is made of, as one text."""
    folder = files("inkling.engine.gpu.kernels")
    return "".join(folder.joinpath(name).read_text() for name in ("device.cuh", *PARTS))


def _bits(matrix: object) -> int:
    if not isinstance(matrix, Packed):
        raise Unsupported("matrices that are not quantized")
    return matrix.bits


def _addresses(matrix: object) -> tuple[int, int, int, int, int]:
    assert isinstance(matrix, Packed), "checked by `constants`"
    return (
        matrix.words.data_ptr(),
        0 if matrix.high is None else matrix.high.data_ptr(),
        matrix.steps.data_ptr(),
        0 if matrix.scale_max is None else matrix.scale_max.data_ptr(),
        0 if matrix.perm is None else matrix.perm.data_ptr(),
    )
