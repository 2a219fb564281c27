"""The mathematics of one gpt-oss decoder layer in plain torch, apart from where its keys and values lie.

Written for few torch calls per layer, since on a CPU a decode step of a small model spends as
much time between the matrix products as in them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from inkling.engine.model.config import GptOssConfig
from inkling.engine.model.rope import rotate
from inkling.engine.model.weights import Matrix

SWIGLU_ALPHA = 1.702
# Queries attended at a time: scores of one block stay in the CPU's cache, and a sliding layer
# looks at no more than this plus its window.
QUERY_BLOCK = 128


@dataclass(frozen=True)
class Rotation:
    """Rotary embeddings of some positions, as `rope.rotate` takes them."""

    cos: Tensor  # [tokens, 1, head_dim]
    signed_sin: Tensor


@dataclass(frozen=True)
class Block:
    """Queries `rows` of a pass see the keys `columns` of what was read, less the `hidden` ones."""

    rows: slice
    columns: slice
    hidden: Tensor | None  # bool [rows, columns]


@dataclass(frozen=True)
class Routing:
    """Where the tokens of a pass go: `inputs` are the rows of each of `experts`."""

    experts: Sequence[int]
    inputs: Sequence[Tensor]  # each [rows, hidden]
    order: Tensor | None  # (token, choice) pairs by expert; None for one token: they are already
    weights: Tensor  # [tokens, 1, experts_per_token]


def rotation(
    positions: Tensor, inv_freq: Tensor, rope_factor: float, dtype: torch.dtype
) -> Rotation:
    """The rotation at `positions` `[tokens]`, with what `rope.inverse_frequencies` returns."""
    angles = torch.outer(positions.float(), inv_freq)[:, None]
    cos, sin = angles.cos() * rope_factor, angles.sin() * rope_factor
    return Rotation(torch.cat((cos, cos), -1).to(dtype), torch.cat((-sin, sin), -1).to(dtype))


def query_blocks(positions: Tensor, start: int, origin: int, window: int) -> tuple[Block, ...]:
    """Who sees what in layers in which a token sees itself and `window - 1` before it.

    `positions` are those of the queries, from `start`; `origin` is the position of the first key.
    """
    end = start + len(positions)
    blocks = []
    for low in range(start, end, QUERY_BLOCK):
        high = min(low + QUERY_BLOCK, end)
        oldest = max(0, low - window + 1)
        hidden = None
        if high - low > 1:
            keys = torch.arange(oldest, high, device=positions.device)
            age = positions[low - start : high - start, None] - keys
            hidden = (age < 0) | (age >= window)
        rows = slice(low - start, high - start)
        blocks.append(Block(rows, slice(oldest - origin, high - origin), hidden))
    return tuple(blocks)


def norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """RMS norm of each row of `x`."""
    # By hand: torch's own rms_norm takes twice as long on one row.
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + eps) * weight


def times(x: Tensor, matrix: Tensor | Matrix, bias: Tensor | None = None) -> Tensor:
    """`x @ matrix + bias` `[rows, out]` of `x` `[rows, in]`."""
    if not isinstance(matrix, Tensor):
        return matrix.times(x, bias)
    return x @ matrix if bias is None else torch.addmm(bias, x, matrix)


def project_qkv(
    x: Tensor, qkv: Tensor | Matrix, bias: Tensor, rotation: Rotation, config: GptOssConfig
) -> tuple[Tensor, Tensor, Tensor]:
    """Queries (rotated and scaled) `[tokens, heads, head_dim]`, keys (rotated) and values
    `[tokens, kv_heads, head_dim]` of the normed `x` `[tokens, hidden]`."""
    num_heads, num_kv_heads = config.num_heads, config.num_kv_heads
    joined = times(x, qkv, bias).view(len(x), num_heads + 2 * num_kv_heads, config.head_dim)
    rotated = rotate(joined[:, : num_heads + num_kv_heads], rotation.cos, rotation.signed_sin)
    queries = rotated[:, :num_heads] * config.head_dim**-0.5
    return queries, rotated[:, num_heads:], joined[:, num_heads + num_kv_heads :]


def attend(
    queries: Tensor, keys: Tensor, values: Tensor, blocks: Sequence[Block], sinks: Tensor
) -> Tensor:
    """What all heads bring, `[tokens, heads * head_dim]`, before its projection."""
    attended = [
        _attend(
            queries[block.rows], keys[block.columns], values[block.columns], block.hidden, sinks
        )
        for block in blocks
    ]
    return attended[0] if len(attended) == 1 else torch.cat(attended)


def _attend(
    queries: Tensor, keys: Tensor, values: Tensor, hidden: Tensor | None, sinks: Tensor
) -> Tensor:
    """Attention with a sink: one more score per head that takes weight and brings no value.

    `queries` `[tokens, heads, head_dim]` (scaled), `keys` and `values` `[positions, kv_heads,
    head_dim]`, `hidden` bool `[tokens, positions]`, `sinks` `[heads]`. Returns
    `[tokens, heads * head_dim]`.
    """
    num_tokens, num_heads, head_dim = queries.shape
    num_keys, num_kv_heads, _ = keys.shape
    shape = (num_kv_heads, num_heads // num_kv_heads, num_tokens)
    rows = queries.transpose(0, 1).reshape(num_kv_heads, -1, head_dim)
    scores = torch.bmm(rows, keys.permute(1, 2, 0)).view(*shape, num_keys)
    if hidden is not None:
        scores.masked_fill_(hidden, -torch.inf)
    sink = sinks.view(*shape[:2], 1, 1).expand(*shape, 1)
    probabilities = torch.cat((scores, sink), -1).softmax(-1)[..., :-1]
    out = torch.bmm(probabilities.flatten(1, 2), values.transpose(0, 1))
    return out.view(num_heads, num_tokens, head_dim).transpose(0, 1).reshape(num_tokens, -1)


def route(x: Tensor, router: Tensor, bias: Tensor, config: GptOssConfig) -> Routing:
    """Send each row of the normed `x` `[tokens, hidden]` to the experts that score highest."""
    top_k = config.experts_per_token
    scores, chosen = torch.addmm(bias, x, router).topk(top_k)
    weights = scores.softmax(-1)[:, None]
    if len(x) == 1:
        return Routing(chosen[0].tolist(), (x,) * top_k, None, weights)
    # Rows sorted by expert, so that each expert multiplies one block of rows.
    flat = chosen.flatten()
    order = flat.argsort(stable=True)
    counts = flat.bincount(minlength=config.num_experts).tolist()
    experts = [expert for expert, count in enumerate(counts) if count]
    inputs = torch.split(x[order // top_k], [count for count in counts if count])
    return Routing(experts, inputs, order, weights)


def gate(
    routing: Routing,
    gate_up: Sequence[Tensor | Matrix],
    bias: Sequence[Tensor],
    config: GptOssConfig,
) -> Sequence[Tensor]:
    """What each expert of `routing` has inside, `[rows, intermediate]`: the input of its `down`.

    `gate_up` and `bias` are those of all experts, gates first.
    """
    hidden = torch.cat(
        [
            times(rows, gate_up[expert], bias[expert])
            for expert, rows in zip(routing.experts, routing.inputs, strict=True)
        ]
    )
    return torch.split(_swiglu(hidden, config.swiglu_limit), [len(rows) for rows in routing.inputs])


def mix(
    routing: Routing,
    gated: Sequence[Tensor],
    down: Sequence[Tensor | Matrix],
    bias: Sequence[Tensor],
) -> Tensor:
    """The experts' outputs by their weights, `[tokens, hidden]`, of what `gate` returned."""
    outputs = torch.cat(
        [
            times(rows, down[expert], bias[expert])
            for expert, rows in zip(routing.experts, gated, strict=True)
        ]
    )
    if routing.order is not None:
        outputs = outputs[routing.order.argsort()]
    # A product with the weights, not index_add: that adds in no fixed order on a GPU.
    num_tokens, _, top_k = routing.weights.shape
    return torch.bmm(routing.weights, outputs.view(num_tokens, top_k, -1))[:, 0]


def gates_first(interleaved: Tensor) -> Tensor:
    """Columns gate, up, gate, up, ... as checkpoints have them, to all gates and then all ups."""
    return torch.cat((interleaved[..., ::2], interleaved[..., 1::2]), -1)


def _swiglu(hidden: Tensor, limit: float) -> Tensor:
    """gpt-oss's clamped SwiGLU of `[rows, 2 * intermediate]`, gates first."""
    gate, up = hidden.chunk(2, -1)
    gate = gate.clamp(max=limit)
    return (up.clamp(-limit, limit) + 1) * gate * torch.sigmoid(SWIGLU_ALPHA * gate)
