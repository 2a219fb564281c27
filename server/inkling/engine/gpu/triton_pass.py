"""gpt-oss on packed weights, for any number of tokens: prefill, and decoding as a CUDA graph.

The residual stream is fp32; activations are fp16 after a norm, after attention and after SwiGLU,
where they cannot be large. Nothing waits for the device, sums have a fixed order, and what changes
between passes of one size (tokens, positions, pages) is read from device memory.
"""

import torch
from torch import Tensor

from inkling.engine.gpu.kernels.attention import attend
from inkling.engine.gpu.kernels.dense import dense
from inkling.engine.gpu.kernels.experts import down, gate_up
from inkling.engine.gpu.kernels.norm import add_and_norm
from inkling.engine.gpu.kernels.rotary import Sequence, rotate_and_append
from inkling.engine.gpu.kernels.router import route, sort_by_expert
from inkling.engine.gpu.kernels.tiles import experts_tile
from inkling.engine.gpu.weights import GpuLayer, GpuWeights
from inkling.engine.model.config import GptOssConfig
from inkling.engine.model.paged_kv import PagedKV
from inkling.engine.model.rope import inverse_frequencies

BUCKETS = (1, 2, 4, 8)  # numbers of tokens that have a graph


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
        an entry for each page of the sequence at least, kv fp16; all on the device. With num_rows
        int32 `[1]` only so many of the tokens are real: the KV of the others is not stored, and
        their logits mean nothing.
        """
        config = self.config
        if num_rows is None:
            num_rows = torch.full_like(start, len(token_ids))
        sequence = self._sequence(len(token_ids), start, num_rows, page_table)
        x = self._weights.embedding.index_select(0, token_ids).float()
        added = None
        for index, layer in enumerate(self._weights.layers):
            normed = add_and_norm(x, added, layer.input_norm, config.rms_norm_eps)
            self._attention(x, normed, index, layer, sequence, kv)
            added = self._experts(x, layer)
        normed = add_and_norm(x, added, self._weights.norm, config.rms_norm_eps)
        if num_logits == 0:
            return x.new_empty((0, config.vocab_size))
        return dense(normed[-num_logits:], self._weights.head)

    def _sequence(
        self, num_tokens: int, start: Tensor, num_rows: Tensor, page_table: Tensor
    ) -> Sequence:
        positions = torch.arange(num_tokens, device=self.device) + start
        angles = positions.float()[:, None] * self._inv_freq
        cos, sin = angles.cos() * self._rope_factor, angles.sin() * self._rope_factor
        return Sequence(start, num_rows, page_table, cos, sin)

    def _attention(
        self,
        x: Tensor,
        normed: Tensor,
        index: int,
        layer: GpuLayer,
        sequence: Sequence,
        kv: PagedKV,
    ) -> None:
        """Add attention to the residual stream x; `normed` is its norm."""
        config = self.config
        keys, values = kv.keys[index], kv.values[index]
        qkv = dense(normed, layer.qkv, layer.qkv_bias)
        queries = rotate_and_append(qkv, sequence, keys, values, config.num_heads)
        window = config.sliding_window if config.is_sliding[index] else None
        attended = attend(queries, sequence, keys, values, layer.sinks, window)
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
    """Passes of up to 8 tokens over one store, each replayed as one CUDA graph.

    Gives the same bits as `TritonPass.forward`. The weights, the store and this object's buffers
    must stay where they are.
    """

    def __init__(self, model: TritonPass, kv: PagedKV, max_pages: int) -> None:
        """Capture a graph for each of BUCKETS; sequences have `max_pages` pages at most."""

        def zeros(size: int) -> Tensor:
            return torch.zeros(size, dtype=torch.int32, device=model.device)

        self._token_ids, self._page_table = zeros(BUCKETS[-1]), zeros(max_pages)
        self._start, self._num_rows = zeros(1), zeros(1)
        self._graphs: dict[int, tuple[torch.cuda.CUDAGraph, Tensor]] = {}
        pool = torch.cuda.graph_pool_handle()
        for bucket in BUCKETS:
            # The first run compiles the kernels; without rows it leaves the store as it is.
            self._run(model, kv, bucket)
            torch.cuda.synchronize(model.device)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=pool):
                logits = self._run(model, kv, bucket)
            self._graphs[bucket] = graph, logits

    def _run(self, model: TritonPass, kv: PagedKV, bucket: int) -> Tensor:
        return model.forward(
            self._token_ids[:bucket], self._start, self._page_table, kv, bucket, self._num_rows
        )

    @torch.inference_mode()
    def forward(
        self, token_ids: Tensor, start: Tensor, page_table: Tensor, num_logits: int
    ) -> Tensor:
        """As `TritonPass.forward`, for 1 to 8 tokens; the arguments may lie on the host.

        The logits are valid until the next call.
        """
        count = len(token_ids)
        bucket = next(bucket for bucket in BUCKETS if count <= bucket)
        self._token_ids[:count].copy_(token_ids, non_blocking=True)
        self._start.copy_(start, non_blocking=True)
        self._page_table[: len(page_table)].copy_(page_table, non_blocking=True)
        self._num_rows.fill_(count)
        graph, logits = self._graphs[bucket]
        graph.replay()
        return logits[count - num_logits : count]
