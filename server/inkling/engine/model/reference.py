"""gpt-oss in plain torch: the oracle for every faster path, and what runs where there is no GPU.

Written for few torch calls per layer, since on a CPU a decode step of a small model spends as
much time between the matrix products as in them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from inkling.engine.model.base import KVStore, check_pass
from inkling.engine.model.config import GptOssConfig
from inkling.engine.model.paged_kv import PagedKV
from inkling.engine.model.rope import inverse_frequencies, rotate
from inkling.engine.model.weights import LayerWeights, Weights

SWIGLU_ALPHA = 1.702
# Queries attended at a time: scores of one block stay in the CPU's cache, and a sliding layer
# looks at no more than this plus its window.
QUERY_BLOCK = 128


@dataclass(frozen=True)
class _Block:
    """Queries `rows` of a pass see the keys `columns` of what was read, less the `hidden` ones."""

    rows: slice
    columns: slice
    hidden: Tensor | None  # bool [rows, columns]


@dataclass(frozen=True)
class _View:
    """Which pages one kind of layer reads in a pass, and who sees what of them."""

    pages: slice | Tensor
    blocks: tuple[_Block, ...]


@dataclass(frozen=True)
class _Pass:
    """What all layers of one forward pass share."""

    slots: Tensor
    cos: Tensor  # [tokens, 1, head_dim]
    signed_sin: Tensor
    full: _View
    sliding: _View


class GptOss:
    """The reference model. Residual stream, KV and products are in the weights' dtype.

    Deterministic: the same call on the same KV gives the same bits. A token's logits depend on
    the split into passes only by rounding.
    """

    def __init__(self, config: GptOssConfig, weights: Weights) -> None:
        """Take `weights` (fp32, or fp64 for tests) as they are, on whatever device they lie."""
        self.config = config
        self._weights = weights
        self._device = weights.norm.device
        self._dtype = weights.norm.dtype
        inv_freq, self._rope_factor = inverse_frequencies(config)
        self._inv_freq = inv_freq.to(self._device)

    def new_kv(self, num_pages: int, page_len: int) -> PagedKV:
        """Make an empty store: `[layers, num_pages, page_len, kv_heads, head_dim]` twice."""
        config = self.config
        return PagedKV(
            config.num_layers,
            num_pages,
            page_len,
            config.num_kv_heads,
            config.head_dim,
            dtype=self._dtype,
            device=self._device,
        )

    @torch.inference_mode()
    def forward(
        self,
        token_ids: Sequence[int],
        start: int,
        pages: Sequence[int],
        kv: KVStore,
        num_logits: int,
    ) -> Tensor:
        """Append tokens and return the fp32 logits of the last ones: see `Model.forward`."""
        if not isinstance(kv, PagedKV):
            raise TypeError("a model runs on the stores its own new_kv made")
        check_pass(token_ids, start, pages, kv, num_logits)

        shared = self._prepare(len(token_ids), start, pages, kv)
        x = functional.embedding(
            torch.tensor(token_ids, device=self._device), self._weights.embedding
        )
        for index, layer in enumerate(self._weights.layers):
            x = x + self._attention(x, index, layer, shared, kv)
            x = x + self._experts(x, layer)
        if num_logits == 0:
            return x.new_empty((0, self.config.vocab_size), dtype=torch.float32)
        last = self._norm(x[-num_logits:], self._weights.norm)
        return (last @ self._weights.head).float()

    def _prepare(self, num_tokens: int, start: int, pages: Sequence[int], kv: PagedKV) -> _Pass:
        positions = torch.arange(start, start + num_tokens, device=self._device)
        angles = torch.outer(positions.float(), self._inv_freq)[:, None]
        cos, sin = angles.cos() * self._rope_factor, angles.sin() * self._rope_factor
        return _Pass(
            slots=kv.slots(pages, start, num_tokens),
            cos=torch.cat((cos, cos), -1).to(self._dtype),
            signed_sin=torch.cat((-sin, sin), -1).to(self._dtype),
            full=self._view(positions, start, pages, kv, window=start + num_tokens),
            sliding=self._view(positions, start, pages, kv, self.config.sliding_window),
        )

    def _view(
        self, positions: Tensor, start: int, pages: Sequence[int], kv: PagedKV, window: int
    ) -> _View:
        """Pages and masks for layers in which a token sees itself and `window - 1` before it."""
        end = start + len(positions)
        first_page = max(0, start - window + 1) // kv.page_len
        origin = first_page * kv.page_len  # position of the first key read
        blocks = []
        for low in range(start, end, QUERY_BLOCK):
            high = min(low + QUERY_BLOCK, end)
            oldest = max(0, low - window + 1)
            hidden = None
            if high - low > 1:
                keys = torch.arange(oldest, high, device=self._device)
                age = positions[low - start : high - start, None] - keys
                hidden = (age < 0) | (age >= window)
            blocks.append(
                _Block(
                    slice(low - start, high - start), slice(oldest - origin, high - origin), hidden
                )
            )
        last_page = (end - 1) // kv.page_len
        return _View(kv.page_index(pages[first_page : last_page + 1]), tuple(blocks))

    def _norm(self, x: Tensor, weight: Tensor) -> Tensor:
        # By hand: torch's own rms_norm takes twice as long on one row.
        return (
            x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.config.rms_norm_eps) * weight
        )

    def _attention(
        self, x: Tensor, index: int, layer: LayerWeights, shared: _Pass, kv: PagedKV
    ) -> Tensor:
        """What attention adds to the residual stream `x` `[tokens, hidden]`; stores the new KV."""
        config = self.config
        num_heads, num_kv_heads = config.num_heads, config.num_kv_heads
        qkv = torch.addmm(layer.qkv_bias, self._norm(x, layer.input_norm), layer.qkv)
        qkv = qkv.view(len(x), num_heads + 2 * num_kv_heads, config.head_dim)
        rotated = rotate(qkv[:, : num_heads + num_kv_heads], shared.cos, shared.signed_sin)
        queries = rotated[:, :num_heads] * config.head_dim**-0.5
        kv.write(index, shared.slots, rotated[:, num_heads:], qkv[:, num_heads + num_kv_heads :])
        view = shared.sliding if config.is_sliding[index] else shared.full
        keys, values = kv.read(index, view.pages)
        attended = [
            _attend(
                queries[block.rows],
                keys[block.columns],
                values[block.columns],
                block.hidden,
                layer.sinks,
            )
            for block in view.blocks
        ]
        joined = attended[0] if len(attended) == 1 else torch.cat(attended)
        return torch.addmm(layer.attention_out_bias, joined, layer.attention_out)

    def _experts(self, x: Tensor, layer: LayerWeights) -> Tensor:
        """What the chosen experts add to the residual stream `x` `[tokens, hidden]`."""
        top_k = self.config.experts_per_token
        x = self._norm(x, layer.post_attention_norm)
        scores, chosen = torch.addmm(layer.router_bias, x, layer.router).topk(top_k)
        order = None
        if len(x) == 1:
            used, inputs = chosen[0].tolist(), (x,) * top_k
        else:
            # Rows sorted by expert, so that each expert multiplies one block of rows.
            flat = chosen.flatten()
            order = flat.argsort(stable=True)
            counts = flat.bincount(minlength=self.config.num_experts).tolist()
            used = [expert for expert, count in enumerate(counts) if count]
            inputs = torch.split(x[order // top_k], [count for count in counts if count])
        hidden = torch.cat(
            [
                torch.addmm(layer.gate_up_bias[expert], rows, layer.gate_up[expert])
                for expert, rows in zip(used, inputs, strict=True)
            ]
        )
        gated = torch.split(
            _swiglu(hidden, self.config.swiglu_limit), [len(rows) for rows in inputs]
        )
        outputs = torch.cat(
            [
                torch.addmm(layer.down_bias[expert], rows, layer.down[expert])
                for expert, rows in zip(used, gated, strict=True)
            ]
        )
        if order is not None:
            outputs = outputs[order.argsort()]
        # A product with the weights, not index_add: that adds in no fixed order on a GPU.
        weights = scores.softmax(-1)[:, None]
        return torch.bmm(weights, outputs.view(len(x), top_k, -1))[:, 0]


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


def _swiglu(hidden: Tensor, limit: float) -> Tensor:
    """gpt-oss's clamped SwiGLU of `[rows, 2 * intermediate]`, gates first."""
    gate, up = hidden.chunk(2, -1)
    gate = gate.clamp(max=limit)
    return (up.clamp(-limit, limit) + 1) * gate * torch.sigmoid(SWIGLU_ALPHA * gate)
