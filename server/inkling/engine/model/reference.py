"""gpt-oss in plain torch: the oracle for every faster path, and what runs where there is no GPU."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic

import torch
from torch import Tensor
from torch.nn import functional

from inkling.engine.model.base import KVStore, check_pass
from inkling.engine.model.config import GptOssConfig
from inkling.engine.model.layer import (
    Block,
    Rotation,
    attend,
    gate,
    mix,
    norm,
    project_qkv,
    query_blocks,
    rotation,
    route,
    times,
)
from inkling.engine.model.paged_kv import KVBits, PagedKV
from inkling.engine.model.rope import inverse_frequencies
from inkling.engine.model.weights import LayerWeights, MatrixT, Weights


@dataclass(frozen=True)
class _View:
    """Which pages one kind of layer reads in a pass, and who sees what of them."""

    pages: slice | Tensor
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class _Pass:
    """What all layers of one forward pass share."""

    slots: Tensor
    rotation: Rotation
    full: _View
    sliding: _View


class GptOss(Generic[MatrixT]):
    """The reference model. Residual stream, KV (but for 8 bits) and products of tensors are in the
    weights' dtype.

    Deterministic where its matrices are tensors: the same call on the same KV gives the same bits. A
    token's logits depend on the split into passes only by rounding.
    """

    def __init__(self, config: GptOssConfig, weights: Weights[MatrixT]) -> None:
        """Take `weights` (fp32, or fp64 for tests) as they are, on whatever device they lie."""
        self.config = config
        self.weights = weights
        self._device = weights.norm.device
        self._dtype = weights.norm.dtype
        inv_freq, self._rope_factor = inverse_frequencies(config)
        self._inv_freq = inv_freq.to(self._device)

    def new_kv(self, num_pages: int, page_len: int, bits: KVBits = 16) -> PagedKV:
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
            bits=bits,
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
            torch.tensor(token_ids, device=self._device), self.weights.embedding
        ).to(self._dtype)
        for index, layer in enumerate(self.weights.layers):
            x = x + self._attention(x, index, layer, shared, kv)
            x = x + self._experts(x, layer)
        if num_logits == 0:
            if self._device.type == "cuda":
                torch.cuda.synchronize(self._device)
            return x.new_empty((0, self.config.vocab_size), dtype=torch.float32)
        last = norm(x[-num_logits:], self.weights.norm, self.config.rms_norm_eps)
        return times(last, self.weights.head).float()

    def _prepare(self, num_tokens: int, start: int, pages: Sequence[int], kv: PagedKV) -> _Pass:
        positions = torch.arange(start, start + num_tokens, device=self._device)
        return _Pass(
            slots=kv.slots(pages, start, num_tokens),
            rotation=rotation(positions, self._inv_freq, self._rope_factor, self._dtype),
            full=self._view(positions, start, pages, kv, window=start + num_tokens),
            sliding=self._view(positions, start, pages, kv, self.config.sliding_window),
        )

    def _view(
        self, positions: Tensor, start: int, pages: Sequence[int], kv: PagedKV, window: int
    ) -> _View:
        """Pages and masks for layers in which a token sees itself and `window - 1` before it."""
        first_page = max(0, start - window + 1) // kv.page_len
        last_page = (start + len(positions) - 1) // kv.page_len
        blocks = query_blocks(positions, start, first_page * kv.page_len, window)
        return _View(kv.page_index(pages[first_page : last_page + 1]), blocks)

    def _attention(
        self, x: Tensor, index: int, layer: LayerWeights[MatrixT], shared: _Pass, kv: PagedKV
    ) -> Tensor:
        """What attention adds to the residual stream `x` `[tokens, hidden]`; stores the new KV."""
        x = norm(x, layer.input_norm, self.config.rms_norm_eps)
        queries, new_keys, new_values = project_qkv(
            x, layer.qkv, layer.qkv_bias, shared.rotation, self.config
        )
        kv.write(index, shared.slots, new_keys, new_values)
        view = shared.sliding if self.config.is_sliding[index] else shared.full
        keys, values = kv.read(index, view.pages)
        attended = attend(queries, keys, values, view.blocks, layer.sinks)
        return times(attended, layer.attention_out, layer.attention_out_bias)

    def _experts(self, x: Tensor, layer: LayerWeights[MatrixT]) -> Tensor:
        """What the chosen experts add to the residual stream `x` `[tokens, hidden]`."""
        x = norm(x, layer.post_attention_norm, self.config.rms_norm_eps)
        routing = route(x, layer.router, layer.router_bias, self.config)
        gated = gate(routing, layer.gate_up, layer.gate_up_bias, self.config)
        return mix(routing, gated, layer.down, layer.down_bias)
