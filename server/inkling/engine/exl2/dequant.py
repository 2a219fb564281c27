"""From EXL2 to plain fp16, bit for bit as the format defines it, in plain torch."""

from itertools import groupby

import torch
from torch import Tensor

from inkling.engine.exl2.format import Exl2Matrix, Group
from inkling.engine.exl2.slices import values_at_once

# Values dequantized at a time on a CPU: bounds the memory beside the result, and suits the cache.
_AT_ONCE = 1 << 20


def dequantize(matrix: Exl2Matrix) -> Tensor:
    """The fp16 matrix `[in_features, out_features]`, on the device of its tensors."""
    scales = _scales(matrix)
    out = torch.empty(
        (matrix.in_features, matrix.out_features),
        dtype=torch.float16,
        device=matrix.q_weight.device,
    )
    # Neighbouring groups of one kind are done at once; mixed matrices have a handful of runs.
    index = 0
    for (bits, num_rows), same in groupby(
        matrix.groups, lambda group: (group.bits, group.num_rows)
    ):
        run: list[Group] = list(same)
        size = values_at_once(out.device, _AT_ONCE)
        at_once = max(1, size // (num_rows * matrix.out_features))
        for first in range(0, len(run), at_once):
            part = run[first : first + at_once]
            words = matrix.q_weight[part[0].first_word : part[-1].last_word]
            codes = unpack(words, bits).view(len(part), num_rows, -1)
            # int8 holds a code less its zero point; torch promotes the product of int8 and fp16 to
            # fp16, rounded once.
            values = out[part[0].first_row : part[-1].first_row + num_rows].view_as(codes)
            zeroed = (codes - (1 << (bits - 1))).to(torch.int8)
            torch.mul(zeroed, scales[index : index + len(part), None], out=values)
            index += len(part)
    return out if matrix.q_invperm is None else out[matrix.q_invperm.long()]


def unpack(words: Tensor, bits: int) -> Tensor:
    """Codes int32 `[rows, columns]` of words int32 `[rows * bits / 32, columns]`."""
    columns = words.shape[1]
    device = words.device
    mask = (1 << bits) - 1
    if 32 % bits == 0:
        shifts = torch.arange(0, 32, bits, dtype=torch.int32, device=device)[:, None]
        return ((words[:, None] >> shifts) & mask).view(-1, columns)
    at = torch.arange(32, device=device) * bits
    word, shift = at // 32, (at % 32)[:, None].int()
    in_low = (32 - shift).clamp(max=bits)  # bits of a code in its first word; the rest in the next
    low_mask = (1 << in_low) - 1
    blocks = words.view(-1, bits, columns)
    low = (blocks.index_select(1, word) >> shift) & low_mask
    high = blocks.index_select(1, (word + 1).clamp(max=bits - 1)) << in_low
    return (low | (high & (mask & ~low_mask))).view(-1, columns)


def _scales(matrix: Exl2Matrix) -> Tensor:
    """fp16 `[groups, out_features]`."""
    shifts = torch.arange(0, 32, 4, dtype=torch.int32, device=matrix.q_scale.device)
    steps = ((matrix.q_scale[..., None] >> shifts) & 15).flatten(1) + 1
    return (steps * steps).half() * (matrix.q_scale_max * (1 / 256))[:, None]
