"""Between MXFP4 and EXL2 without rounding twice: EXL2's units made to meet the values MXFP4 has.

A block of MXFP4 is 32 values of a column, and EXL2 in groups of 32 rows has a scale for just these.
In halves of its power of two a block's magnitudes are 0, 1, 2, 3, 4, 6, 8 and 12, so a code of EXL2
is a function of the nibble and of the ratio of the two scales: all there is to do to a value is a
look-up, here of two at a time, a byte as published.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from inkling.engine.exl2.quantize import group_table, pack, pack_steps
from inkling.engine.exl2.slices import values_at_once
from inkling.engine.mxfp4 import BIAS, BLOCK, Mxfp4Matrix

_MAGNITUDES = (0, 1, 2, 3, 4, 6, 8, 12)  # of nibbles 0 to 7, in half the block's power of two
# Values done at a time on a CPU: bounds the memory beside the result, and suits the cache.
_AT_ONCE = 1 << 20

# exact: 6-bit codes of both signs reach 31; steps 1, 2, 4, 8, 16 give units 4**0 to 4**4 apart.
_REACH = 31
_NUM_UNITS = 5
# The least unit 2**base of a group: q_scale_max / 256 is 2**-24 at least in fp16, and no value may
# pass 65504, which 31 * 2**(base + 8) does not.
_LEAST_BASE, _LARGEST_BASE = -24, 3
# Shifts of a magnitude beyond these make only zeros, or only the largest code.
_LEAST_SHIFT, _LARGEST_SHIFT = -5, 5
_ANY = 512  # exponents a block of zeros could do with, up and down: any

# structured: 5-bit codes are -16 to 15.
_ZERO = 16
# Units of step 1, q_scale_max / 256, tried for a group, relative to half the power of two of its
# largest column. That column's unit takes a step of 10 to 16 (or is coarser than it could be, which
# pays where few columns are large and many small). Finer than 1 / 32 of an octave gains nothing.
_CANDIDATES = [2 ** (i / 32) / 440 for i in range(70)]
# A block's kind is 8 * level + nibble: how many powers of two it is below the largest column, and
# its largest nibble. At 14 below, all codes are 0.
_NUM_LEVELS = 15
# Exponents of largest columns: 6 * 2**13 < 65504 < 6 * 2**14, and 6 * 2**-28 is next to fp16's zero.
_LEAST_TOP, _LARGEST_TOP = -28, 13
_SMALLEST_SCALE_MAX = 2.0**-16  # below this, q_scale_max / 256 vanishes in fp16


@dataclass(frozen=True)
class _Ladder:
    """What the candidates make of groups whose largest column has one exponent.

    errors     fp64  [candidates, kinds]       least squared error of a value of a block
    steps      int64 [candidates, kinds]       the step 1 to 16 that makes it least
    codes      int16 [candidates, kinds, 16]   nibbles' codes with that step
    scale_max  fp16  [candidates]
    """

    errors: Tensor
    steps: Tensor
    codes: Tensor
    scale_max: Tensor


def exact(weight: Mxfp4Matrix) -> tuple[dict[str, Tensor], int]:
    """The same values as EXL2 of 6 bits in groups of 32 rows, and how many blocks are not the same.

    Bit for bit but for the sign of zeros, which EXL2 does not have. A block fits where a unit
    2**u makes integers up to 31 of its values, and the units of a row of blocks, one a column, lie
    within 2**base .. 2**(base + 8) at even distances from base. Every block has two neighbouring
    u at least, so a row fits where its blocks' exponents span 9 at most (farther where blocks leave
    part of E2M1 unused), and fp16 has its values. Where a row does not fit, its largest blocks do,
    and the values of small ones are rounded to the nearest multiple of 2**base; values beyond
    fp16 become the largest code.

    Returns the tensors `q_weight`, `q_scale`, `q_scale_max`, `q_groups` of `exl2.format`, on the
    weight's device.
    """
    device = weight.blocks.device
    finest_of = torch.tensor(_FINEST, dtype=torch.int32, device=device)
    coarsest_of = torch.tensor(_COARSEST, dtype=torch.int32, device=device)
    codes = torch.tensor(_EXACT_CODES, dtype=torch.int16, device=device)
    num_inexact = torch.zeros((), dtype=torch.int64, device=device)
    parts = []
    for pairs, exponents in _row_groups(weight):
        halves = exponents - 1
        present = _present(pairs).int()
        finest, coarsest = halves + finest_of[present], halves + coarsest_of[present]
        base = finest.amax(1, keepdim=True) - 2 * (_NUM_UNITS - 1)
        base = base.clamp(_LEAST_BASE, _LARGEST_BASE)
        index = ((finest - base + 1) >> 1).clamp(0, _NUM_UNITS - 1)
        unit = base + 2 * index
        num_inexact += ((unit < finest) | (unit > coarsest)).sum()
        shift = (halves - unit).clamp(_LEAST_SHIFT, _LARGEST_SHIFT) - _LEAST_SHIFT
        words = _look_up(pairs, shift, codes, 6)
        parts.append((words, 1 << index, torch.exp2(base[:, 0] + 8.0).half()))
    return _assemble(parts, 6), int(num_inexact)


def structured(weight: Mxfp4Matrix, bits: int) -> dict[str, Tensor]:
    """Nearly the same values as EXL2 of `bits`, which must be 5, in groups of 32 rows.

    A column's unit (s + 1)**2 * q_scale_max / 256 is chosen near half its block's power of two, which
    makes codes of E2M1's values without rounding: 14, 10, 7 and 5 squared are 196, 100, 49 and 25,
    nearly powers of two apart. Each group's q_scale_max and each block's s are the ones with the least
    squared error if all magnitudes up to a block's largest were equally frequent. Values beyond fp16
    end as smaller ones.

    Returns the tensors `q_weight`, `q_scale`, `q_scale_max`, `q_groups` of `exl2.format`, on the
    weight's device. Raises ValueError for other bits: with 6, `exact` is as small, and 4 have too few
    codes for E2M1's values, so that they are no better than `exl2.quantize`'s.
    """
    if bits != 5:
        raise ValueError(f"{bits} bits: there are codes near MXFP4's values at 5 bits only")
    device = weight.blocks.device
    largest_of = torch.tensor(_LARGEST, dtype=torch.int32, device=device)
    spare_of = torch.tensor(_SPARE, dtype=torch.int32, device=device)
    parts = []
    for pairs, exponents in _row_groups(weight):
        largest = largest_of[_present(pairs).int()]
        # A block's exponent if it were written with E2M1's largest values, 4 or 6.
        full = (exponents - spare_of[largest]).clamp(_LEAST_TOP - _NUM_LEVELS, _LARGEST_TOP)
        tops = full.where(largest > 0, _LEAST_TOP).amax(1).clamp(min=_LEAST_TOP)
        kinds = (tops[:, None] - full).clamp(0, _NUM_LEVELS - 1) * 8 + largest
        kinds = kinds.long()
        ladders = [_ladder(top, device) for top in tops.tolist()]
        errors = torch.stack([ladder.errors for ladder in ladders])
        counts = errors.new_zeros((len(kinds), errors.shape[2]))
        counts.scatter_add_(1, kinds, errors.new_ones(()).expand_as(kinds))
        chosen = (errors @ counts[..., None]).squeeze(-1).argmin(1).tolist()
        steps, codes, scale_max = (
            torch.stack(same)
            for same in zip(
                *((of.steps[i], of.codes[i], of.scale_max[i]) for of, i in zip(ladders, chosen)),
                strict=True,
            )
        )
        both = codes[..., None, :] | (codes[..., None] << bits)
        first_rows = torch.arange(len(kinds), device=device)[:, None] * errors.shape[2]
        words = _look_up(pairs, (first_rows + kinds).int(), both, bits)
        parts.append((words, steps.gather(1, kinds), scale_max))
    return _assemble(parts, bits)


def as_mxfp4(weight: Tensor) -> Mxfp4Matrix | None:
    """The MXFP4 matrix whose values `weight` `[in, out]`, bf16, fp16 or fp32, has; None without one.

    For checkpoints that were dequantized. The values are the same to the bit, zeros' signs included;
    the scales need not be those once published, since some blocks can be written with several.
    """
    num_rows, num_columns = weight.shape
    if num_rows % BLOCK:
        return None
    none = len(_MAGNITUDES)
    code_of = torch.tensor(
        [_MAGNITUDES.index(m) if m in _MAGNITUDES else none for m in range(16)],
        dtype=torch.uint8,
        device=weight.device,
    )
    size = values_at_once(weight.device, _AT_ONCE)
    at_once = BLOCK * max(1, size // (BLOCK * num_columns))
    pairs, scales = [], []
    for rows in torch.split(weight, at_once):
        x = torch.unflatten(rows.float(), 0, (-1, BLOCK))
        largest = torch.maximum(x.amax(1), -x.amin(1))
        if not bool(largest.isfinite().all()):
            return None
        # The largest value is 4 or 6 times the power of two, unless that is the least there is.
        scale = (largest.frexp().exponent - 3 + BIAS).where(largest > 0, 0).clamp(min=0)
        reciprocal = ((2 * BIAS - scale) << 23).view(torch.float32)  # 2**(BIAS - scale)
        halves = (x.abs() * reciprocal[:, None]).mul_(2)
        whole = halves.int()
        codes = code_of.index_select(0, whole.flatten()).view_as(whole)
        if not bool(((whole == halves) & (codes < none)).all()):
            return None
        codes |= x.signbit().to(torch.uint8) << 3
        pairs.append(codes[:, ::2] | (codes[:, 1::2] << 4))
        scales.append(scale.to(torch.uint8))
    blocks = torch.cat(pairs).flatten(0, 1).t().contiguous()
    return Mxfp4Matrix(blocks.view(num_columns, -1, BLOCK // 2), torch.cat(scales).t().contiguous())


def _row_groups(weight: Mxfp4Matrix) -> Iterator[tuple[Tensor, Tensor]]:
    """Of some groups of 32 rows at a time: bytes int32 `[groups, 16, out]`, exponents `[groups, out]`."""
    num_columns = weight.out_features
    pairs = weight.blocks.flatten(1).t().contiguous().view(-1, BLOCK // 2, num_columns)
    exponents = weight.scales.t().contiguous().int() - BIAS
    size = values_at_once(pairs.device, _AT_ONCE)
    at_once = max(1, size // (BLOCK * num_columns))
    for first in range(0, len(pairs), at_once):
        some = slice(first, first + at_once)
        yield pairs[some].int(), exponents[some]


def _present(pairs: Tensor) -> Tensor:
    """Which magnitudes a block has: uint8 `[groups, out]`, bit i for nibbles i and i + 8."""
    bits = torch.tensor(_BITS, dtype=torch.uint8, device=pairs.device)
    found = bits.index_select(0, pairs.flatten()).view_as(pairs)
    while found.shape[1] > 1:
        half = found.shape[1] // 2
        found = found[:, :half] | found[:, half:]
    return found[:, 0]


def _look_up(pairs: Tensor, rows: Tensor, codes: Tensor, bits: int) -> Tensor:
    """`q_weight` of a part: the codes of bytes by `codes` int16 `[.., 256]`, two of a column in one.

    `rows` int32 `[groups, out]` says which row of `codes` a block takes.
    """
    at = pairs + (rows << 8)[:, None]
    both = codes.flatten().index_select(0, at.flatten())
    return pack(both.view(-1, pairs.shape[2]), 2 * bits)


def _assemble(parts: list[tuple[Tensor, Tensor, Tensor]], bits: int) -> dict[str, Tensor]:
    """EXL2's tensors of parts: words, steps 1 to 16 and scale maxima."""
    words, steps, scale_max = (torch.cat(same) for same in zip(*parts, strict=True))
    return {
        "q_weight": words,
        "q_scale": pack_steps(steps),
        "q_scale_max": scale_max,
        "q_groups": group_table(len(steps) * BLOCK, bits, BLOCK, words.device),
    }


@cache
def _ladder(top: int, device: torch.device) -> _Ladder:
    nibbles = torch.tensor([*_MAGNITUDES, *(-m for m in _MAGNITUDES)], dtype=torch.float64)
    half = 2.0 ** (top - 1)
    candidates = torch.tensor(_CANDIDATES, dtype=torch.float64) * half
    scale_max = (256 * candidates).clamp(min=_SMALLEST_SCALE_MAX).half()
    squares = torch.arange(1, 17).square()
    # [candidates, steps], rounded as the format does: coarsely where fp16 is subnormal
    scales = (squares.half() * (scale_max * (1 / 256))[:, None]).double()
    exponents = (torch.tensor(_SPARE) - torch.arange(_NUM_LEVELS)[:, None]).flatten()
    values = half * torch.exp2(exponents.double())[:, None] * nibbles  # [kinds, 16]
    is_there = torch.arange(8) <= torch.arange(8)[:, None]
    shares = (is_there / is_there.sum(1, keepdim=True)).double().repeat(_NUM_LEVELS, 1)
    errors, steps, codes = [], [], []
    for scale in scales:
        tried = (values[:, None] / scale[:, None]).round_().clamp_(-_ZERO, _ZERO - 1)
        left = (tried * scale[:, None] - values[:, None])[..., :8].square_()
        least, index = (left @ shares[..., None]).squeeze(-1).min(1)
        errors.append(least)
        steps.append(index + 1)
        codes.append((tried[torch.arange(len(values)), index] + _ZERO).to(torch.int16))
    return _Ladder(
        torch.stack(errors).to(device),
        torch.stack(steps).to(device),
        torch.stack(codes).to(device),
        scale_max.to(device),
    )


def _magnitudes_of(present: int) -> list[int]:
    return [_MAGNITUDES[i] for i in range(1, 8) if present >> i & 1]


def _finest(present: int) -> int:
    """The least u for which 2**-u times the largest of the magnitudes is at most 31."""
    largest = max(_magnitudes_of(present), default=0)
    return next(u for u in range(-4, 1) if largest <= _REACH * 2.0**u) if largest else -_ANY


def _coarsest(present: int) -> int:
    """The largest u for which 2**u divides all of the magnitudes."""
    return min((m & -m).bit_length() - 1 for m in _magnitudes_of(present) or [1 << _ANY])


def _exact_code(nibble: int, shift: int) -> int:
    magnitude = min(round(_MAGNITUDES[nibble & 7] * 2.0**shift), _REACH)
    return _REACH + 1 + (-magnitude if nibble & 8 else magnitude)


_BITS = [1 << (byte & 7) | 1 << (byte >> 4 & 7) for byte in range(256)]
_FINEST = [_finest(present) for present in range(256)]
_COARSEST = [_coarsest(present) for present in range(256)]
_EXACT_CODES = [
    [_exact_code(byte & 15, shift) | _exact_code(byte >> 4, shift) << 6 for byte in range(256)]
    for shift in range(_LEAST_SHIFT, _LARGEST_SHIFT + 1)
]
_LARGEST = [max(present.bit_length() - 1, 0) for present in range(256)]  # the largest nibble
_SPARE = (0, 3, 2, 2, 1, 1, 0, 0)  # how many times blocks of largest nibbles 0 to 7 can be doubled
