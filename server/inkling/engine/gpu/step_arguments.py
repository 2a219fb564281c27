"""What a pass of kernels/step.cu is given: its structures, and the device memory they point to."""

import ctypes
from collections.abc import Sequence

import torch
from torch import Tensor

from inkling.engine.gpu.layout import Packed
from inkling.engine.gpu.weights import GpuLayer, GpuWeights
from inkling.engine.model.config import GptOssConfig
from inkling.engine.model.paged_kv import PagedKV
from inkling.engine.model.rope import inverse_frequencies

# Tokens of a pass at most: `Pass.tokens`.
MOST_ROWS = 4
# Grid barriers of a layer in step.cu.
BARRIERS = 5


class MatFields(ctypes.Structure):
    """`Mat` of pass.cuh: device addresses."""

    _fields_ = [(name, ctypes.c_uint64) for name in ("words", "high", "scales", "perm")]


class PassFields(ctypes.Structure):
    """`Pass` of pass.cuh."""

    _fields_ = [
        ("layers", ctypes.c_uint64),
        ("embedding", ctypes.c_uint64),
        ("norm", ctypes.c_uint64),
        ("head", MatFields),
        ("rotary", ctypes.c_uint64),
        ("keys", ctypes.c_uint64),
        ("values", ctypes.c_uint64),
        ("key_scales", ctypes.c_uint64),
        ("value_scales", ctypes.c_uint64),
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


def layer_table(config: GptOssConfig, layers: Sequence[GpuLayer]) -> Tensor:
    """`Layer` of pass.cuh for each layer: int64 `[layers, 26]` of device addresses, on the CPU."""
    return torch.tensor(
        [
            [
                *_addresses(layer.qkv),
                *_addresses(layer.attention_out),
                *_addresses(layer.gate_up),
                *_addresses(layer.down),
                layer.input_norm.data_ptr(),
                layer.qkv_bias.data_ptr(),
                layer.sinks.data_ptr(),
                layer.attention_out_bias.data_ptr(),
                layer.post_attention_norm.data_ptr(),
                layer.router.data_ptr(),
                layer.router_bias.data_ptr(),
                layer.gate_up_bias.data_ptr(),
                layer.down_bias.data_ptr(),
                int(is_sliding),
            ]
            for layer, is_sliding in zip(layers, config.is_sliding, strict=True)
        ],
        dtype=torch.int64,
    )


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
            key_scales=0 if kv.key_scales is None else kv.key_scales.data_ptr(),
            value_scales=0 if kv.value_scales is None else kv.value_scales.data_ptr(),
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


def _addresses(matrix: object) -> tuple[int, int, int, int]:
    assert isinstance(matrix, Packed), "checked by `constants`"
    return (
        matrix.words.data_ptr(),
        0 if matrix.high is None else matrix.high.data_ptr(),
        matrix.scales.data_ptr(),
        0 if matrix.perm is None else matrix.perm.data_ptr(),
    )
