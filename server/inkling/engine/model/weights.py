"""The tensors of one gpt-oss model, as the reference computes with them.

Every matrix is `[in, out]`: on a CPU the product of one row with it is bound by memory, and this
order streams (measured twice as fast for the head as `[out, in]`), and EXL2 stores it so.
"""

from dataclasses import dataclass
from typing import Generic, Protocol

from torch import Tensor
from typing_extensions import TypeVar  # which torch needs too: typing's has no default before 3.13


class Matrix(Protocol):
    """A matrix `[in, out]` in another form than a tensor."""

    def times(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """`x @ self + bias` `[rows, out]`, of `x` `[rows, in]` and `bias` `[out]` and in their type."""
        ...


MatrixT = TypeVar("MatrixT", bound=Tensor | Matrix, default=Tensor)


@dataclass(frozen=True)
class LayerWeights(Generic[MatrixT]):
    """One decoder layer. All tensors share one dtype and device.

    Q, K and V are one matrix, in this order of columns. Experts are tuples of `num_experts`
    matrices; in `gate_up` all gate columns come before all up columns.
    """

    input_norm: Tensor  # [hidden]
    qkv: MatrixT  # [hidden, (heads + 2 * kv_heads) * head_dim]
    qkv_bias: Tensor
    sinks: Tensor  # [heads]
    attention_out: MatrixT  # [heads * head_dim, hidden]
    attention_out_bias: Tensor
    post_attention_norm: Tensor  # [hidden]
    router: Tensor  # [hidden, experts]
    router_bias: Tensor
    gate_up: tuple[MatrixT, ...]  # each [hidden, 2 * intermediate]
    gate_up_bias: tuple[Tensor, ...]
    down: tuple[MatrixT, ...]  # each [intermediate, hidden]
    down_bias: tuple[Tensor, ...]


@dataclass(frozen=True)
class Weights(Generic[MatrixT]):
    """A whole model."""

    embedding: Tensor  # [vocab, hidden]; may be narrower than the others
    layers: tuple[LayerWeights[MatrixT], ...]
    norm: Tensor  # [hidden]
    head: MatrixT  # [hidden, vocab]
