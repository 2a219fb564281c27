"""From plain weights to EXL2 by rounding to nearest, with a search for the scales."""

import torch
from torch import Tensor

from inkling.engine.exl2.format import BIT_WIDTHS, GROUP_SIZES

# Scales tried for a group, relative to the one that just reaches its largest weight: less clips.
_GROUP_FACTORS: list[float] = torch.linspace(0.78, 1.14, 13).tolist()
# Steps tried for a column, relative to the one that just reaches its largest weight.
_STEP_OFFSETS = (-2, -1, 0, 1)
# Below this, q_scale_max / 256 vanishes in fp16.
_SMALLEST_SCALE_MAX = 2.0**-15
# Weights searched at a time: what fits the CPU's cache.
_SEARCH_SIZE = 1 << 18


def quantize(weight: Tensor, bits: int, group_size: int) -> dict[str, Tensor]:
    """Quantize `weight` `[in, out]` to `bits` in groups of `group_size` rows, in their order.

    `in` must be a multiple of 32 (the last group may be shorter), `out` of 8. Each group's scale
    and each column's step are the ones tried with the least squared error. Returns the tensors
    `q_weight`, `q_scale`, `q_scale_max`, `q_groups` of `format`, on the weight's device.

    Raises ValueError for a shape, bit width or group size the format has not, and for weights
    that are not finite.
    """
    num_rows, num_columns = weight.shape
    if bits not in BIT_WIDTHS or group_size not in GROUP_SIZES:
        raise ValueError(
            f"{bits} bits in groups of {group_size}: EXL2 has bits {BIT_WIDTHS} and groups"
            f" {GROUP_SIZES}"
        )
    if num_rows % 32 or num_columns % 8:
        raise ValueError(f"{num_rows} x {num_columns}: rows come in 32s and columns in 8s")
    weight = weight.float()
    if not bool(weight.isfinite().all()):
        raise ValueError("weights are not finite")
    whole = num_rows - num_rows % group_size
    at_once = max(1, _SEARCH_SIZE // (group_size * num_columns))
    groups = weight[:whole].view(-1, group_size, num_columns)
    parts = [*torch.split(groups, at_once)] if whole else []
    if whole < num_rows:
        parts.append(weight[whole:][None])
    done = [_quantize_groups(part, bits) for part in parts]
    codes, steps, scale_max = (torch.cat(same) for same in zip(*done, strict=True))
    first_words = range(0, num_rows * bits // 32, group_size * bits // 32)
    table = torch.tensor([(bits, first) for first in first_words])
    return {
        "q_weight": pack(codes, bits),
        "q_scale": pack_steps(steps),
        "q_scale_max": scale_max,
        "q_groups": table.flatten().to(weight.device, torch.int16),
    }


def pack(codes: Tensor, bits: int) -> Tensor:
    """Words int32 `[rows * bits / 32, columns]` of codes `[rows, columns]`, rows a multiple of 32."""
    blocks = codes.long().view(-1, 32, codes.shape[1])
    words = blocks.new_zeros((blocks.shape[0], bits, codes.shape[1]))
    for row in range(32):
        word, shift = divmod(row * bits, 32)
        spread = blocks[:, row] << shift
        words[:, word] |= spread
        if shift + bits > 32:
            words[:, word + 1] |= spread >> 32
    return words.to(torch.int32).flatten(0, 1)  # keeps the low 32 bits


def pack_steps(steps: Tensor) -> Tensor:
    """`q_scale` int32 `[groups, out / 8]` of steps 1 to 16 `[groups, out]`."""
    shifts = torch.arange(0, 32, 4, device=steps.device)
    eights = (steps.long() - 1).view(len(steps), -1, 8)
    return (eights << shifts).sum(-1).to(torch.int32)


def _quantize_groups(x: Tensor, bits: int) -> tuple[Tensor, Tensor, Tensor]:
    """Codes `[groups * rows, columns]`, steps `[groups, columns]`, fp16 scale maxima `[groups]`.

    `x` is `[groups, rows, columns]`.
    """
    zero = 1 << (bits - 1)
    reach = x.abs().amax(1) / (zero - 0.5)  # scale that just reaches a column's largest weight
    group_reach = reach.amax(1)
    best_error = torch.full_like(group_reach, torch.inf)
    best_steps = torch.ones_like(reach)
    best_max = torch.zeros_like(group_reach, dtype=torch.float16)
    for factor in _GROUP_FACTORS:
        scale_max = (group_reach * factor).clamp(_SMALLEST_SCALE_MAX, 65504).half()
        error = torch.full_like(reach, torch.inf)
        steps = torch.ones_like(reach)
        nearest = (16 * (reach / scale_max[:, None]).sqrt()).round()
        for offset in _STEP_OFFSETS:
            tried = (nearest + offset).clamp(1, 16)
            scale = _scale(tried, scale_max)
            left = _round(x, scale, zero).mul_(scale).sub_(x).square_().sum(1)
            steps = torch.where(left < error, tried, steps)
            error = torch.minimum(left, error)
        group_error = error.sum(1)
        better = group_error < best_error
        best_error = torch.where(better, group_error, best_error)
        best_steps = torch.where(better[:, None], steps, best_steps)
        best_max = torch.where(better, scale_max, best_max)
    codes = _round(x, _scale(best_steps, best_max), zero) + zero
    return codes.flatten(0, 1).to(torch.uint8), best_steps.to(torch.uint8), best_max


def _scale(steps: Tensor, scale_max: Tensor) -> Tensor:
    """The scales `[groups, 1, columns]` as the format rounds them, in fp32."""
    return ((steps * steps).half() * (scale_max * (1 / 256))[:, None])[:, None].float()


def _round(x: Tensor, scale: Tensor, zero: int) -> Tensor:
    return (x / scale).round_().clamp_(-zero, zero - 1)
