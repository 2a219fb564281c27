"""From plain weights to EXL2 by rounding to nearest, with a search for the scales."""

from itertools import pairwise
from math import gcd

import torch
from torch import Tensor

from inkling.engine.exl2.format import BIT_WIDTHS, GROUP_SIZES
from inkling.engine.exl2.slices import values_at_once

# Scales tried for a group, relative to the one that just reaches its largest weight: less clips.
_GROUP_FACTORS: list[float] = torch.linspace(0.78, 1.14, 13).tolist()
# Steps tried for a column, relative to the one that just reaches its largest weight.
_STEP_OFFSETS = (-2, -1, 0, 1)
# Below this, q_scale_max / 256 vanishes in fp16.
_SMALLEST_SCALE_MAX = 2.0**-15
# Weights searched at a time on a CPU: what fits its cache.
_SEARCH_SIZE = 1 << 18
# Columns are searched in multiples of this: torch adds up rows in another order at a ragged end.
_COLUMN_STEP = 32


def quantize(weight: Tensor, bits: int, group_size: int) -> dict[str, Tensor]:
    """Quantize `weight` `[in, out]` to `bits` in groups of `group_size` rows, in their order.

    `in` must be a multiple of 32 (the last group may be shorter), `out` of 8. Each group's scale
    and each column's step are the ones tried with the least squared error. Returns the tensors
    `q_weight`, `q_scale`, `q_scale_max`, `q_groups` of `format`, on the weight's device. Beside them
    it needs memory for a group or 2**18 weights (on a GPU 2**25) in fp32, some four times, never for
    all weights.

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
    q_weight = torch.empty(
        (num_rows * bits // 32, num_columns), dtype=torch.int32, device=weight.device
    )
    all_steps: list[Tensor] = []
    all_max: list[Tensor] = []
    size = values_at_once(weight.device, _SEARCH_SIZE)
    at_once = group_size * max(1, size // (group_size * num_columns))
    whole = num_rows - num_rows % group_size
    starts = [*range(0, whole, at_once), *([whole] if whole < num_rows else [])]
    for first, last in pairwise([*starts, num_rows]):
        rows = weight[first:last].float().contiguous()
        codes, steps, scale_max = _quantize_groups(
            rows.view(-1, min(group_size, last - first), num_columns), bits
        )
        q_weight[first * bits // 32 : last * bits // 32] = pack(codes, bits)
        all_steps.append(pack_steps(steps))
        all_max.append(scale_max)
    return {
        "q_weight": q_weight,
        "q_scale": torch.cat(all_steps),
        "q_scale_max": torch.cat(all_max),
        "q_groups": group_table(num_rows, bits, group_size, weight.device),
    }


def group_table(num_rows: int, bits: int, group_size: int, device: torch.device) -> Tensor:
    """`q_groups` of a matrix whose groups are all alike (but for a shorter last one)."""
    first_words = range(0, num_rows * bits // 32, group_size * bits // 32)
    table = torch.tensor([(bits, first) for first in first_words])
    return table.flatten().to(device, torch.int16)  # keeps the low 16 bits


def pack(codes: Tensor, bits: int) -> Tensor:
    """Words int32 `[rows * bits / 32, columns]` of codes `[rows, columns]` of an integer type.

    A code is at least 0 and less than 2**bits, and rows * bits is a multiple of 32; `bits` need not
    be a width of the format, so that two codes of a column can be packed as one.
    """
    at_once = 32 // gcd(bits, 32)  # rows that fill whole words
    rows = torch.unflatten(codes, 0, (-1, at_once))
    words = torch.zeros(
        (len(rows), at_once * bits // 32, codes.shape[1]), dtype=torch.int32, device=codes.device
    )
    for row in range(at_once):
        word, shift = divmod(row * bits, 32)
        code = rows[:, row].int()
        words[:, word] |= code << shift  # keeps the low 32 bits
        if shift + bits > 32:
            words[:, word + 1] |= code >> (32 - shift)
    return words.flatten(0, 1)


def pack_steps(steps: Tensor) -> Tensor:
    """`q_scale` int32 `[groups, out / 8]` of steps 1 to 16 `[groups, out]`."""
    return pack((steps - 1).view(-1, 8).t(), 4).view(len(steps), -1)


def _quantize_groups(x: Tensor, bits: int) -> tuple[Tensor, Tensor, Tensor]:
    """Codes `[groups * rows, columns]`, steps `[groups, columns]`, fp16 scale maxima `[groups]`.

    `x` is `[groups, rows, columns]`.
    """
    zero = 1 << (bits - 1)
    # Scale that just reaches a column's largest weight.
    reach = torch.maximum(x.amax(1), x.amin(1).neg_()) / (zero - 0.5)
    if not bool(reach.isfinite().all()):
        raise ValueError("weights are not finite")
    group_reach = reach.amax(1)
    best_error = torch.full_like(group_reach, torch.inf)
    best_steps = torch.ones_like(reach)
    best_max = torch.zeros_like(group_reach, dtype=torch.float16)
    size = values_at_once(x.device, _SEARCH_SIZE)
    width = max(1, size // (x.shape[0] * x.shape[1] * _COLUMN_STEP)) * _COLUMN_STEP
    parts = torch.split(x, width, -1)
    for factor in _GROUP_FACTORS:
        scale_max = (group_reach * factor).clamp(_SMALLEST_SCALE_MAX, 65504).half()
        tried = [
            _search_steps(part, part_reach, scale_max, zero)
            for part, part_reach in zip(parts, torch.split(reach, width, -1), strict=True)
        ]
        error, steps = (torch.cat(same, 1) for same in zip(*tried, strict=True))
        group_error = error.sum(1)
        better = group_error < best_error
        best_error = torch.where(better, group_error, best_error)
        best_steps = torch.where(better[:, None], steps, best_steps)
        best_max = torch.where(better, scale_max, best_max)
    codes = torch.empty_like(x, dtype=torch.uint8)
    for part, into, steps in zip(
        parts, torch.split(codes, width, -1), torch.split(best_steps, width, -1), strict=True
    ):
        into.copy_(_round(part, _scale(steps, best_max), zero).add_(zero))
    return codes.flatten(0, 1), best_steps.to(torch.uint8), best_max


def _search_steps(x: Tensor, reach: Tensor, scale_max: Tensor, zero: int) -> tuple[Tensor, Tensor]:
    """The least squared error and its step, each `[groups, columns]`, for given scale maxima."""
    error = torch.full_like(reach, torch.inf)
    steps = torch.ones_like(reach)
    nearest = (16 * (reach / scale_max[:, None]).sqrt()).round()
    for offset in _STEP_OFFSETS:
        tried = (nearest + offset).clamp(1, 16)
        scale = _scale(tried, scale_max)
        left = _round(x, scale, zero).mul_(scale).sub_(x).square_().sum(1)
        steps = torch.where(left < error, tried, steps)
        error = torch.minimum(left, error)
    return error, steps


def _scale(steps: Tensor, scale_max: Tensor) -> Tensor:
    """The scales `[groups, 1, columns]` as the format rounds them, in fp32."""
    return ((steps * steps).half() * (scale_max * (1 / 256))[:, None])[:, None].float()


def _round(x: Tensor, scale: Tensor, zero: int) -> Tensor:
    return (x / scale).round_().clamp_(-zero, zero - 1)
