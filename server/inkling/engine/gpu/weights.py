"""The tensors of one gpt-oss model in video memory."""

from dataclasses import dataclass

from torch import Tensor

from inkling.engine.gpu.layout import Matrix


@dataclass(frozen=True)
class GpuLayer:
    """One decoder layer. Vectors and the router are fp32; `gate_up` and `down` hold all experts.

    Q, K and V are one matrix, in this order of columns. Columns of `gate_up` alternate gate, up, as
    in the checkpoint.
    """

    input_norm: Tensor  # [hidden]
    qkv: Matrix  # [hidden, (heads + 2 * kv_heads) * head_dim]
    qkv_bias: Tensor
    sinks: Tensor  # [heads]
    attention_out: Matrix  # [heads * head_dim, hidden]
    attention_out_bias: Tensor
    post_attention_norm: Tensor  # [hidden]
    router: Tensor  # [experts, hidden]
    router_bias: Tensor
    gate_up: Matrix  # [experts, hidden, 2 * intermediate]
    gate_up_bias: Tensor  # [experts, 2 * intermediate]
    down: Matrix  # [experts, intermediate, hidden]
    down_bias: Tensor  # [experts, hidden]


@dataclass(frozen=True)
class GpuWeights:
    """A whole model."""

    embedding: Tensor  # fp16 [vocab, hidden]
    layers: tuple[GpuLayer, ...]
    norm: Tensor  # fp32 [hidden]
    head: Matrix  # [hidden, vocab]
