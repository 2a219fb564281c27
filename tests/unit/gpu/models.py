"""Small random gpt-oss models: packed for the GPU, and the reference with the very same weights."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from inkling.engine.exl2.format import parse
from inkling.engine.exl2.quantize import quantize
from inkling.engine.gpu.codes import MXFP4
from inkling.engine.gpu.layout import (
    Matrix,
    Packed,
    Plain,
    dequantize,
    pack_exl2,
    pack_mxfp4,
    stack,
)
from inkling.engine.gpu.weights import GpuLayer, GpuWeights
from inkling.engine.model.config import GptOssConfig
from inkling.engine.model.reference import GptOss
from inkling.engine.model.weights import LayerWeights, Weights
from inkling.engine.mxfp4 import Mxfp4Matrix
from tests.unit.model.gpt_oss_cases import fields

# Neither hidden nor inner width is a multiple of 128; the window is shorter than the prompts.
TINY = GptOssConfig.from_fields(
    fields(
        num_hidden_layers=2,
        hidden_size=96,
        intermediate_size=160,
        head_dim=64,
        sliding_window=40,
        vocab_size=104,
    ),
    Path("config.json"),
)
BALANCED = {"attention": 6, "experts": 5, "head": 6}


def random_weights(
    config: GptOssConfig = TINY,
    bits: Mapping[str, int] = BALANCED,
    *,
    seed: int = 0,
    is_permuted: bool = False,
) -> GpuWeights:
    """Random weights on the CPU. `bits` 16 leaves a kind of matrix plain; MXFP4 has no orders. "down"
    is as "experts" if not told.
    """
    generator = torch.Generator().manual_seed(seed)
    hidden, inner = config.hidden_size, config.intermediate_size
    attended = config.num_heads * config.head_dim
    qkv = attended + 2 * config.num_kv_heads * config.head_dim

    def noise(*shape: int, std: float) -> Tensor:
        return torch.randn(*shape, generator=generator) * std

    def matrix(rows: int, columns: int, kind: str) -> Packed | Plain:
        if bits[kind] == MXFP4:
            return pack_mxfp4([random_mxfp4(rows, columns, generator)])
        weight = noise(rows, columns, std=rows**-0.5)
        if bits[kind] == 16:
            return Plain(weight.half())
        tensors = quantize(weight, bits[kind], 32)
        if is_permuted:
            tensors["q_invperm"] = torch.randperm(rows, generator=generator).int()
        return pack_exl2([parse("w", tensors, rows, columns)], bits[kind])

    def experts(rows: int, columns: int, kind: str = "experts") -> Matrix:
        each = [matrix(rows, columns, kind) for _ in range(config.num_experts)]
        packed = [one for one in each if isinstance(one, Packed)]
        if packed:
            return stack(packed)
        return Plain(torch.stack([one.weight for one in each if isinstance(one, Plain)]))

    layers = tuple(
        GpuLayer(
            input_norm=1 + noise(hidden, std=0.2),
            qkv=matrix(hidden, qkv, "attention"),
            qkv_bias=noise(qkv, std=0.3),
            sinks=noise(config.num_heads, std=1.0),
            attention_out=matrix(attended, hidden, "attention"),
            attention_out_bias=noise(hidden, std=0.3),
            post_attention_norm=1 + noise(hidden, std=0.2),
            router=noise(config.num_experts, hidden, std=0.3),
            router_bias=noise(config.num_experts, std=0.3),
            gate_up=experts(hidden, 2 * inner),
            gate_up_bias=noise(config.num_experts, 2 * inner, std=0.3),
            down=experts(inner, hidden, "down" if "down" in bits else "experts"),
            down_bias=noise(config.num_experts, hidden, std=0.3),
        )
        for _ in range(config.num_layers)
    )
    return GpuWeights(
        embedding=noise(config.vocab_size, hidden, std=1.0).half(),
        layers=layers,
        norm=1 + noise(hidden, std=0.2),
        head=matrix(hidden, config.vocab_size, "head"),
    )


def random_mxfp4(rows: int, columns: int, generator: torch.Generator) -> Mxfp4Matrix:
    """Any nibbles, under scales of 1/128 to 1/8: a standard deviation of about 0.2."""

    def random(low: int, high: int, *shape: int) -> Tensor:
        return torch.randint(low, high, shape, dtype=torch.uint8, generator=generator)

    return Mxfp4Matrix(
        blocks=random(0, 256, columns, rows // 32, 16),
        scales=random(120, 125, columns, rows // 32),
    )


def reference(config: GptOssConfig, weights: GpuWeights) -> GptOss:
    """The fp32 reference model with the same numbers, on the same device."""
    return GptOss(
        config,
        Weights(
            embedding=weights.embedding.float(),
            layers=tuple(map(_reference_layer, weights.layers)),
            norm=weights.norm,
            head=_dense(weights.head),
        ),
    )


def _reference_layer(layer: GpuLayer) -> LayerWeights:
    def gates_first(tensor: Tensor) -> Tensor:
        return torch.cat((tensor[..., ::2], tensor[..., 1::2]), -1)

    return LayerWeights(
        input_norm=layer.input_norm,
        qkv=_dense(layer.qkv),
        qkv_bias=layer.qkv_bias,
        sinks=layer.sinks,
        attention_out=_dense(layer.attention_out),
        attention_out_bias=layer.attention_out_bias,
        post_attention_norm=layer.post_attention_norm,
        router=layer.router.t().contiguous(),
        router_bias=layer.router_bias,
        gate_up=tuple(gates_first(_dense(layer.gate_up)).unbind()),
        gate_up_bias=tuple(gates_first(layer.gate_up_bias).unbind()),
        down=tuple(_dense(layer.down).unbind()),
        down_bias=tuple(layer.down_bias.unbind()),
    )


def _dense(matrix: Matrix) -> Tensor:
    return (dequantize(matrix) if isinstance(matrix, Packed) else matrix.weight).float()


def with_window(config: GptOssConfig, window: int) -> GptOssConfig:
    """The same model with another sliding window."""
    return replace(config, sliding_window=window)
