"""The tensors of one gpt-oss model, as the reference computes with them.

Every matrix is `[in, out]`: on a CPU the product of one row with it is bound by memory, and this
order streams (measured twice as fast for the head as `[out, in]`), and EXL2 stores it so.
"""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class LayerWeights:
    """One decoder layer. All tensors share one dtype and device.

    Q, K and V are one matrix, in this order of columns. Experts are tuples of `num_experts`
    matrices; in `gate_up` all gate columns come before all up columns.
    """

    input_norm: Tensor  # [hidden]
    qkv: Tensor  # [hidden, (heads + 2 * kv_heads) * head_dim]
    qkv_bias: Tensor
    sinks: Tensor  # [heads]
    attention_out: Tensor  # [heads * head_dim, hidden]
    attention_out_bias: Tensor
    post_attention_norm: Tensor  # [hidden]
    router: Tensor  # [hidden, experts]
    router_bias: Tensor
    gate_up: tuple[Tensor, ...]  # each [hidden, 2 * intermediate]
    gate_up_bias: tuple[Tensor, ...]
    down: tuple[Tensor, ...]  # each [intermediate, hidden]
    down_bias: tuple[Tensor, ...]


@dataclass(frozen=True)
class Weights:
    """A whole model."""

    embedding: Tensor  # [vocab, hidden]
    layers: tuple[LayerWeights, ...]
    norm: Tensor  # [hidden]
    head: Tensor  # [hidden, vocab]
