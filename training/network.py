"""The training form of gpt-oss: whole rows at once, every expert densely, fused attention on CUDA.

Parameters carry transformers' GptOss names, so `state_dict()` is the checkpoint. The product's
reference model computes the same logits from it (tests/unit/training/test_network.py).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention.flex_attention import (
    AuxRequest,
    BlockMask,
    create_block_mask,
    flex_attention,
)

from training.config import ModelShape

# What a layer attends to: a block mask for fused attention, or a window (0 = all) for plain.
Mask = BlockMask | int
SWIGLU_ALPHA = 1.702


def plain_attention(
    query: Tensor, key: Tensor, value: Tensor, sinks: Tensor, window: int
) -> Tensor:
    """Softmax attention with a sink: one more logit per head that takes weight and gives nothing."""
    scores = (query @ key.transpose(-1, -2)).float() * query.shape[-1] ** -0.5
    position = torch.arange(query.shape[2], device=query.device)
    distance = position[:, None] - position[None, :]
    hidden = distance < 0
    if window:
        hidden = hidden | (distance >= window)
    scores = scores.masked_fill(hidden, float("-inf"))
    sink = sinks.float()[None, :, None, None].expand(*scores.shape[:3], 1)
    weights = torch.cat([scores, sink], -1).softmax(-1)[..., :-1]
    return weights.to(value.dtype) @ value


def fused_attention(
    query: Tensor, key: Tensor, value: Tensor, sinks: Tensor, mask: BlockMask
) -> Tensor:
    """The same by flex attention: the sink's share is what `sigmoid(lse - sink)` leaves out."""
    out, extra = flex_attention(query, key, value, block_mask=mask, return_aux=AuxRequest(lse=True))
    assert extra.lse is not None
    kept = torch.sigmoid(extra.lse.float() - sinks.float()[None, :, None])
    return out * kept[..., None].to(out.dtype)


def make_masks(shape: ModelShape, length: int, device: torch.device) -> dict[int, Mask]:
    """Masks by window: for fused attention on CUDA, for plain attention elsewhere."""
    if device.type != "cuda":
        return {window: window for window in shape.windows}
    return {window: fused_mask(window, length, device) for window in set(shape.windows)}


def fused_mask(window: int, length: int, device: torch.device) -> BlockMask:
    def is_visible(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        causal = key <= query
        return causal & (key > query - window) if window else causal

    return create_block_mask(is_visible, None, None, length, length, device=str(device))


class RMSNorm(nn.Module):
    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        x = x.float()
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.eps) * self.weight


class SelfAttention(nn.Module):
    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        hidden, size = shape.hidden_size, shape.head_dim
        self.num_heads, self.num_kv = shape.num_attention_heads, shape.num_key_value_heads
        self.head_dim = size
        self.q_proj = nn.Linear(hidden, self.num_heads * size)
        self.k_proj = nn.Linear(hidden, self.num_kv * size)
        self.v_proj = nn.Linear(hidden, self.num_kv * size)
        self.o_proj = nn.Linear(self.num_heads * size, hidden)
        self.sinks = nn.Parameter(torch.zeros(self.num_heads))

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Mask) -> Tensor:
        """x [batch, length, hidden] in the compute dtype → the same shape."""
        query = _rotated(self._heads(x, self.q_proj, self.num_heads), cos, sin)
        key = _rotated(self._heads(x, self.k_proj, self.num_kv), cos, sin)
        value = self._heads(x, self.v_proj, self.num_kv)
        group = self.num_heads // self.num_kv
        key, value = key.repeat_interleave(group, 1), value.repeat_interleave(group, 1)
        if isinstance(mask, BlockMask):
            out = fused_attention(query, key, value, self.sinks, mask)
        else:
            out = plain_attention(query, key, value, self.sinks, mask)
        return _linear(out.transpose(1, 2).flatten(2), self.o_proj)

    def _heads(self, x: Tensor, projection: nn.Linear, count: int) -> Tensor:
        batch, length, _ = x.shape
        heads = _linear(x, projection).view(batch, length, count, self.head_dim)
        return heads.transpose(1, 2)


def _linear(x: Tensor, layer: nn.Linear) -> Tensor:
    return F.linear(x, layer.weight.to(x.dtype), layer.bias.to(x.dtype))


def _rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    first, second = x.float().chunk(2, -1)
    rotated = torch.cat([first * cos - second * sin, second * cos + first * sin], -1)
    return rotated.to(x.dtype)


class Experts(nn.Module):
    """All experts' weights; gate and up columns interleaved as published."""

    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        count, hidden, inner = (
            shape.num_local_experts,
            shape.hidden_size,
            shape.intermediate_size,
        )
        self.gate_up_proj = nn.Parameter(torch.empty(count, hidden, 2 * inner))
        self.gate_up_proj_bias = nn.Parameter(torch.zeros(count, 2 * inner))
        self.down_proj = nn.Parameter(torch.empty(count, inner, hidden))
        self.down_proj_bias = nn.Parameter(torch.zeros(count, hidden))


class MLP(nn.Module):
    """Mixture of experts. Every expert runs on every token and counts by its routing weight: two
    plain matrix products, which at this size are faster than gathering tokens by expert."""

    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        self.router = nn.Linear(shape.hidden_size, shape.num_local_experts)
        self.experts = Experts(shape)
        self.num_chosen, self.limit = shape.num_experts_per_tok, shape.swiglu_limit

    def forward(self, x: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """x [batch, length, hidden] fp32 → (the same shape, how uneven the routing is: 1 = even)."""
        logits = self.router(x)
        best, index = logits.topk(self.num_chosen, -1)
        weight = torch.zeros_like(logits).scatter(-1, index, best.softmax(-1))
        share = (weight.detach() > 0).float().mean((0, 1)) / self.num_chosen
        balance = len(share) * (logits.softmax(-1).mean((0, 1)) * share).sum()
        x = x.to(dtype)
        count, hidden, both = self.experts.gate_up_proj.shape
        gate_up = self.experts.gate_up_proj.to(dtype).permute(1, 0, 2).reshape(hidden, count * both)
        inner = (x @ gate_up).view(*x.shape[:2], count, both)
        inner = inner + self.experts.gate_up_proj_bias.to(dtype)
        gate = inner[..., ::2].float().clamp(max=self.limit)
        up = inner[..., 1::2].float().clamp(-self.limit, self.limit)
        active = (up + 1) * gate * torch.sigmoid(SWIGLU_ALPHA * gate) * weight[..., None]
        down = self.experts.down_proj.to(dtype).flatten(0, 1)
        out = active.to(dtype).flatten(-2) @ down
        return out + weight.to(dtype) @ self.experts.down_proj_bias.to(dtype), balance


class Layer(nn.Module):
    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(shape.hidden_size, shape.rms_norm_eps)
        self.self_attn = SelfAttention(shape)
        self.post_attention_layernorm = RMSNorm(shape.hidden_size, shape.rms_norm_eps)
        self.mlp = MLP(shape)

    def forward(
        self, x: Tensor, cos: Tensor, sin: Tensor, mask: Mask, dtype: torch.dtype
    ) -> tuple[Tensor, Tensor]:
        """x: the fp32 residual stream."""
        x = x + self.self_attn(self.input_layernorm(x).to(dtype), cos, sin, mask).float()
        out, balance = self.mlp(self.post_attention_layernorm(x), dtype)
        return x + out.float(), balance


class Body(nn.Module):
    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(shape.vocab_size, shape.hidden_size)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.num_hidden_layers))
        self.norm = RMSNorm(shape.hidden_size, shape.rms_norm_eps)


class Network(nn.Module):
    """gpt-oss with full-row inputs. Compute dtype: bf16 on CUDA, fp32 elsewhere."""

    def __init__(self, shape: ModelShape) -> None:
        super().__init__()
        self.shape = shape
        self.model = Body(shape)
        self.lm_head = nn.Linear(shape.hidden_size, shape.vocab_size, bias=False)
        self._initialise()

    def _initialise(self) -> None:
        shape = self.shape
        into_residual = (2 * shape.num_hidden_layers) ** -0.5
        nn.init.normal_(self.model.embed_tokens.weight, std=0.02)
        nn.init.normal_(self.lm_head.weight, std=0.02)
        for name, parameter in self.model.layers.named_parameters():
            if "bias" in name or "sinks" in name:
                nn.init.zeros_(parameter)
            elif parameter.dim() >= 2:
                fan_in = parameter.shape[1]
                scale = into_residual if "o_proj" in name or "down_proj" in name else 1.0
                nn.init.normal_(parameter, std=0.5 * scale * fan_in**-0.5)

    def rotation(self, length: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """cos and sin [length, head_dim / 2] of plain RoPE."""
        size = self.shape.head_dim
        power = torch.arange(0, size, 2, device=device).float() / size
        angle = torch.arange(length, device=device).float()[:, None] * self.shape.rope_theta**-power
        return angle.cos(), angle.sin()

    def hidden(
        self, ids: Tensor, masks: dict[int, Mask], dtype: torch.dtype
    ) -> tuple[Tensor, Tensor]:
        """ids [batch, length] → (normed hidden states in `dtype`, mean unevenness of routing)."""
        cos, sin = self.rotation(ids.shape[1], ids.device)
        x = self.model.embed_tokens(ids)
        uneven = torch.zeros((), device=ids.device)
        for layer, window in zip(self.model.layers, self.shape.windows, strict=True):
            x, balance = layer(x, cos, sin, masks[window], dtype)
            uneven = uneven + balance
        return self.model.norm(x).to(dtype), uneven / len(self.model.layers)

    def forward(self, ids: Tensor) -> Tensor:
        """Logits [batch, length, vocab] in fp32 by plain attention: for checks."""
        masks = make_masks(self.shape, ids.shape[1], torch.device("cpu"))
        hidden, _ = self.hidden(ids, masks, torch.float32)
        logits: Tensor = self.lm_head(hidden)
        return logits


def weighted_loss(
    hidden: Tensor, head: Tensor, targets: Tensor, weights: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """(weighted mean loss, plain mean where counted, plain mean over the middles) of one batch.

    hidden [batch, length, size], head [vocab, size], targets and weights [batch, length]. Middles
    are the tokens of weight above 1.
    """
    logits = (hidden.flatten(0, 1) @ head.to(hidden.dtype).t()).float()
    each = F.cross_entropy(logits, targets.flatten(), reduction="none")
    weight = weights.flatten()
    seen, middle = (weight > 0).float(), (weight > 1).float()
    plain = each.detach()
    return (
        (each * weight).sum() / weight.sum(),
        (plain * seen).sum() / seen.sum(),
        (plain * middle).sum() / middle.sum().clamp(min=1),
    )
