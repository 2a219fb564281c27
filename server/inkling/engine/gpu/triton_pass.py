"""gpt-oss on packed weights, for any number of tokens: prefill, and decoding as a CUDA graph.

The residual stream is fp32; activations are fp16 after a norm, after attention and after SwiGLU,
where they cannot be large. Nothing waits for the device, sums have a fixed order, and what changes
between passes of one size (tokens, positions, pages) is read from device memory.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from inkling.engine.gpu.kernels.attention import attend
from inkling.engine.gpu.kernels.dense import dense
from inkling.engine.gpu.kernels.experts import down, gate_up
from inkling.engine.gpu.kernels.norm import add_and_norm
from inkling.engine.gpu.kernels.rotary import Sequence as Positions
from inkling.engine.gpu.kernels.rotary import rotate_and_append
from inkling.engine.gpu.kernels.router import route, sort_by_expert
from inkling.engine.gpu.kernels.tiles import experts_tile
from inkling.engine.gpu.weights import GpuLayer, GpuWeights
from inkling.engine.model.config import GptOssConfig
from inkling.engine.model.paged_kv import PagedKV
from inkling.engine.model.rope import inverse_frequencies

# Numbers of tokens that have a graph, and so the most that a shorter pass is padded to. Each border of
# kernels/tiles.py is one of them: padding must not choose slower tiles.
BUCKETS = (1, 2, 4, 8, 16, 32, 64, 96, 128, 192, 256, 384, 512)


class TritonPass:
    """The forward pass. Heads' dimension and number of experts must be powers of 2."""

    def __init__(self, config: GptOssConfig, weights: GpuWeights) -> None:
        """Take `weights` where they lie."""
        self.config = config
        self.device = weights.norm.device
        self._weights = weights
        inv_freq, self._rope_factor = inverse_frequencies(config)
        self._inv_freq = inv_freq.to(self.device)

    @torch.inference_mode()
    def forward(
        self,
        token_ids: Tensor,
        start: Tensor,
        page_table: Tensor,
        kv: PagedKV,
        num_logits: int,
        num_rows: Tensor | None = None,
    ) -> Tensor:
        """Append tokens to a sequence: fp32 logits `[num_logits, vocab]` of the last ones.

        token_ids int `[tokens]`, start int32 `[1]` (positions before them), page_table int32 with
        an entry for each page of the sequence at least, kv of fp16 or 8 bits; all on the device. With num_rows
        int32 `[1]` only so many of the tokens are real: the KV of the others is not stored, and
        their logits mean nothing.
        """
        if num_rows is None:
            num_rows = torch.full_like(start, len(token_ids))
        hidden = self.hidden(token_ids, start, page_table, kv, num_rows)
        return self.logits(hidden[len(hidden) - num_logits :])

    def logits(self, hidden: Tensor) -> Tensor:
        """fp32 `[tokens, vocab]` of what `hidden` gave for some tokens."""
        if not len(hidden):
            return hidden.new_empty((0, self.config.vocab_size), dtype=torch.float32)
        return dense(hidden, self._weights.head)

    def hidden(
        self, token_ids: Tensor, start: Tensor, page_table: Tensor, kv: PagedKV, num_rows: Tensor
    ) -> Tensor:
        """What the head is multiplied with: fp16 `[tokens, hidden]`. Arguments as for `forward`."""
        config = self.config
        sequence = self._sequence(len(token_ids), start, num_rows, page_table)
        x = self._weights.embedding.index_select(0, token_ids).float()
        added = None
        for index, layer in enumerate(self._weights.layers):
            normed = add_and_norm(x, added, layer.input_norm, config.rms_norm_eps)
            self._attention(x, normed, index, layer, sequence, kv)
            added = self._experts(x, layer)
        return add_and_norm(x, added, self._weights.norm, config.rms_norm_eps)

    def _sequence(
        self, num_tokens: int, start: Tensor, num_rows: Tensor, page_table: Tensor
    ) -> Positions:
        positions = torch.arange(num_tokens, device=self.device) + start
        angles = positions.float()[:, None] * self._inv_freq
        cos, sin = angles.cos() * self._rope_factor, angles.sin() * self._rope_factor
        return Positions(start, num_rows, page_table, cos, sin)

    def _attention(
        self,
        x: Tensor,
        normed: Tensor,
        index: int,
        layer: GpuLayer,
        sequence: Positions,
        kv: PagedKV,
    ) -> None:
        """Add attention to the residual stream x; `normed` is its norm."""
        config = self.config
        pages = kv.layer(index)
        qkv = dense(normed, layer.qkv, layer.qkv_bias)
        queries = rotate_and_append(qkv, sequence, pages, config.num_heads)
        window = config.sliding_window if config.is_sliding[index] else None
        attended = attend(queries, sequence, pages, layer.sinks, window)
        dense(attended, layer.attention_out, layer.attention_out_bias, residual=x)

    def _experts(self, x: Tensor, layer: GpuLayer) -> Tensor:
        """What the chosen experts add to x: fp32 `[tokens, experts_per_token, hidden]`."""
        config = self.config
        top_k = config.experts_per_token
        normed, chosen, weights = route(
            x,
            layer.post_attention_norm,
            layer.router,
            layer.router_bias,
            top_k,
            config.rms_norm_eps,
        )
        tile = experts_tile(chosen.numel(), config.num_experts)
        blocks = sort_by_expert(chosen, config.num_experts, tile.rows)
        hidden = gate_up(
            normed, layer.gate_up, layer.gate_up_bias, blocks, tile, top_k, config.swiglu_limit
        )
        return down(hidden, layer.down, layer.down_bias, weights, blocks, tile)


class GraphedPass:
    """Passes over one store, each replayed as one CUDA graph: some 300 launches cost more than the work
    of a pass of up to 200 tokens.

    Gives the same bits as `TritonPass.forward` padded to the same size. The weights, the store and this
    object's buffers must stay where they are.
    """

    def __init__(
        self, model: TritonPass, kv: PagedKV, max_pages: int, buckets: Sequence[int] = BUCKETS
    ) -> None:
        """Capture a graph for each of `buckets`; sequences have `max_pages` pages at most."""

        def zeros(size: int) -> Tensor:
            return torch.zeros(size, dtype=torch.int32, device=model.device)

        self._model = model
        self._page_table = zeros(max_pages)
        # Start, number of rows, tokens: one copy to the device a pass.
        self._inputs = zeros(2 + buckets[-1])
        self._start, self._num_rows = self._inputs[:1], self._inputs[1:2]
        self._token_ids = self._inputs[2:]
        self._graphs: dict[int, tuple[torch.cuda.CUDAGraph, Tensor]] = {}
        self.most_tokens = buckets[-1]
        pool = torch.cuda.graph_pool_handle()
        for bucket in buckets:
            # The first run compiles the kernels; without rows it leaves the store as it is.
            self._run(kv, bucket)
            torch.cuda.synchronize(model.device)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=pool):
                hidden = self._run(kv, bucket)
            self._graphs[bucket] = graph, hidden
        model.logits(hidden[:1])  # compiled here, not under a key

    @torch.inference_mode()
    def _run(self, kv: PagedKV, bucket: int) -> Tensor:
        ids = self._token_ids[:bucket]
        return self._model.hidden(ids, self._start, self._page_table, kv, self._num_rows)

    @torch.inference_mode()
    def forward(
        self, token_ids: Sequence[int], start: int, page_table: Tensor, num_logits: int
    ) -> Tensor:
        """As `TritonPass.forward`, for 1 to `most_tokens` tokens; only `page_table` is on the device."""
        count = len(token_ids)
        inputs = torch.tensor([start, count, *token_ids], dtype=torch.int32)
        self._inputs[: len(inputs)].copy_(inputs)
        self._page_table[: len(page_table)].copy_(page_table)
        graph, hidden = next(graph for bucket, graph in self._graphs.items() if count <= bucket)
        graph.replay()
        return self._model.logits(hidden[count - num_logits : count])
