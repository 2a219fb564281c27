"""How matrices lie in video memory: EXL2's values, ordered for kernels that stream them.

A matrix `[in, out]` is cut into tiles of 8 columns. Within a tile the groups of 32 rows follow one
another, and within a group each of the 8 columns has its 32 codes together, so that a warp reads 4
groups of a tile as one run of memory. Codes of 5 and 6 bits are split into a plane of nibbles and
one of the high bits; codes of 8 bits are whole bytes.

    words       int32  [out / 8, groups, 8, 4 or 8]    nibbles (4, 5, 6 bits) or bytes (8 bits)
    high        int32  [out / 8, groups, 8, bits - 4]  high bits (5 and 6 bits only)
    steps       uint8  [out / 8, groups, 8]            EXL2's s, 0 to 15
    scale_max   fp16   [out / 8, groups]               EXL2's q_scale_max / 256

Matrices of several experts have one more dimension in front. A value is

    (code - 2**(bits - 1)) * fp16((steps + 1)**2 * scale_max)

with the product of the scale rounded to fp16, which is EXL2's own arithmetic: the layout loses
nothing. A group of fewer bits than the matrix is stored at the matrix's width, its codes moved so
that the values stay the same.

Nibble j of word J is row 8 J + j. Of a byte matrix, byte b of word 2 J + p is row 8 J + 2 b + p. The
high bits are placed so that one shift and one mask bring those of four rows 8 J + 2 b + p (b = 0 to
3) above their nibbles: the bit of 5-bit codes lies at 8 b + 2 J + p, the two of 6-bit codes in word
J // 2 at 8 b + 2 ((2 J + p) % 4).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor

from inkling.engine.exl2.dequant import unpack
from inkling.engine.exl2.format import Exl2Matrix

TILE = 8  # columns
GROUP = 32  # rows that share a scale
WIDTHS = (4, 5, 6, 8)  # bits a code can take here
# Columns packed at a time: bounds what packing needs beside its result.
_COLUMNS_AT_ONCE = 8192


@dataclass(frozen=True)
class Packed:
    """One quantized matrix, or one of each expert. `perm` int16 `[.., in]` (None: as they come)
    says which input feature the stored row k multiplies."""

    bits: int
    words: Tensor
    high: Tensor | None
    steps: Tensor
    scale_max: Tensor
    perm: Tensor | None

    @property
    def in_features(self) -> int:
        return self.steps.shape[-2] * GROUP

    @property
    def out_features(self) -> int:
        return self.steps.shape[-3] * TILE

    @property
    def num_groups(self) -> int:
        return self.steps.shape[-2]

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        tensors = (self.words, self.high, self.steps, self.scale_max, self.perm)
        return sum(tensor.nbytes for tensor in tensors if tensor is not None)


@dataclass(frozen=True)
class Plain:
    """A matrix that the checkpoint does not quantize: `weight` fp16 `[.., in, out]`."""

    weight: Tensor

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return self.weight.nbytes


Matrix = Packed | Plain


def packed_nbytes(bits: int, in_features: int, out_features: int) -> int:
    """Bytes of a packed matrix of `bits` (one of WIDTHS), without a permutation."""
    groups = in_features // GROUP
    return groups * out_features * (4 * bits + 1) + groups * (out_features // TILE) * 2


def stored_bits(matrix: Exl2Matrix) -> int:
    """The width that holds every group of a matrix: of WIDTHS."""
    widest = max(group.bits for group in matrix.groups)
    return next(bits for bits in WIDTHS if bits >= widest)


def pack_exl2(matrices: Sequence[Exl2Matrix], bits: int) -> Packed:
    """One or several EXL2 matrices, side by side as if they were one with all their columns.

    They must have the same `in_features` and the same permutation of them. `bits` is at least
    `stored_bits` of each. Works on the device of the matrices' tensors.

    Raises ValueError for permutations that differ and for columns that are no multiple of 8.
    """
    first = matrices[0]
    for other in matrices[1:]:
        if not _same_permutation(first.q_invperm, other.q_invperm):
            raise ValueError("matrices that share their input must share its permutation")
    parts = [_pack_one(matrix, bits) for matrix in matrices]
    perm = None
    if first.q_invperm is not None:
        perm = first.q_invperm.long().argsort().to(torch.int16)
    words, high, steps, scale_max = (torch.cat(same) for same in zip(*parts, strict=True))
    return Packed(bits, words, high if bits in (5, 6) else None, steps, scale_max, perm)


def stack(matrices: Sequence[Packed]) -> Packed:
    """Matrices of one shape, width and kind as one with an expert dimension in front.

    Where only some are permuted, the others get the permutation that changes nothing.
    """
    first = matrices[0]
    shape = first.in_features, first.out_features
    is_permuted = any(matrix.perm is not None for matrix in matrices)
    device = first.words.device
    whole = empty_stack(len(matrices), first.bits, shape, is_permuted=is_permuted, device=device)
    for index, matrix in enumerate(matrices):
        put(whole, index, matrix)
    return whole


def empty_stack(
    count: int, bits: int, shape: tuple[int, int], *, is_permuted: bool, device: torch.device
) -> Packed:
    """Memory for `count` matrices of `shape` (in, out) as `stack` makes them, for `put` to fill."""
    in_features, out_features = shape
    groups = count, out_features // TILE, in_features // GROUP
    num_words, num_high = (8, 0) if bits == 8 else (4, bits - 4)

    def empty(dtype: torch.dtype, *shape: int) -> Tensor:
        return torch.empty(shape, dtype=dtype, device=device)

    return Packed(
        bits,
        words=empty(torch.int32, *groups, TILE, num_words),
        high=empty(torch.int32, *groups, TILE, num_high) if num_high else None,
        steps=empty(torch.uint8, *groups, TILE),
        scale_max=empty(torch.float16, *groups),
        perm=empty(torch.int16, count, in_features) if is_permuted else None,
    )


def put(stack: Packed, index: int, matrix: Packed) -> None:
    """Copy one matrix into its place of a stack of its shape and width.

    A stack that has permutations takes matrices without one too; the reverse is a ValueError.
    """
    stack.words[index] = matrix.words
    if stack.high is not None and matrix.high is not None:
        stack.high[index] = matrix.high
    stack.steps[index] = matrix.steps
    stack.scale_max[index] = matrix.scale_max
    if stack.perm is not None:
        stack.perm[index] = _identity(matrix) if matrix.perm is None else matrix.perm
    elif matrix.perm is not None:
        raise ValueError("a stack without permutations cannot hold a permuted matrix")


def pack_codes(codes: Tensor, bits: int) -> tuple[Tensor, Tensor]:
    """`words` and `high` of codes uint8 `[in, out]`; `high` has no last entries at 4 and 8 bits."""
    num_rows, num_columns = codes.shape
    # [tile, group, column, J, b, p]: row 8 J + 2 b + p of each group
    blocks = codes.view(num_rows // GROUP, 4, 4, 2, num_columns // TILE, TILE)
    blocks = blocks.permute(4, 0, 5, 1, 2, 3).contiguous()
    # All shifts stay within a byte, so bytes are all that is computed with, and b is the byte.
    if bits == 8:
        words = _as_words(blocks.transpose(-2, -1))
    else:
        low = blocks & 15
        words = _as_words(low[..., 0] | (low[..., 1] << 4))
    above = (blocks >> 4).transpose(-3, -2)  # [.., b, J, p]
    if bits == 5:
        high = _as_words(_merge(above.flatten(-2), 1))
    elif bits == 6:
        of_word = (
            torch.unflatten(above, -2, (2, 2)).flatten(-2).transpose(-3, -2)
        )  # [.., J // 2, b, 4]
        high = _as_words(_merge(of_word, 2))
    else:
        high = words.new_empty((*words.shape[:-1], 0))
    return words, high


def _merge(parts: Tensor, width: int) -> Tensor:
    """Bytes `[..]` of the last dimension's parts, `width` bits each, the first in the lowest."""
    shifts = torch.arange(0, parts.shape[-1] * width, width, dtype=torch.uint8, device=parts.device)
    return (parts << shifts).sum(-1, dtype=torch.uint8)


def _as_words(parts: Tensor) -> Tensor:
    """int32 `[tile, group, column, word]` of bytes `[tile, group, column, .., 4]`."""
    return parts.flatten(3).contiguous().view(torch.int32)


def unpack_codes(matrix: Packed) -> Tensor:
    """Codes uint8 `[.., in, out]`: what `pack_codes` was given."""
    shift = torch.arange(0, 32, 4, device=matrix.words.device)
    byte = torch.arange(4, device=matrix.words.device)
    pair = torch.arange(2, device=matrix.words.device)
    words = matrix.words.long()
    if matrix.bits == 8:
        rows = (torch.unflatten(words, -1, (4, 1, 2)) >> (8 * byte)[:, None]) & 255
    else:
        rows = torch.unflatten((words[..., None] >> shift) & 15, -1, (4, 2))
    if matrix.high is not None:
        high = matrix.high.long()
        order = 2 * byte[:, None, None] + pair
        if matrix.bits == 5:
            above = (high[..., None, None] >> (8 * byte[:, None] + order)) & 1
        else:
            both = high.repeat_interleave(2, -1)[..., None, None]
            above = (both >> (8 * byte[:, None] + 2 * (order % 4))) & 3
        rows = rows | (above << 4)
    # [.., tile, group, column, J, b, p] to [.., group, J, b, p, tile, column]
    lead = list(range(rows.dim() - 6))
    at = [len(lead) + axis for axis in (1, 3, 4, 5, 0, 2)]
    rows = rows.permute(*lead, *at).to(torch.uint8)
    return rows.reshape(*matrix.steps.shape[:-3], matrix.in_features, matrix.out_features)


def dequantize(matrix: Packed) -> Tensor:
    """The fp16 matrix `[.., in, out]` in the order of the input features. For tests and checks."""
    steps = matrix.steps.int() + 1
    scale = (steps * steps).half() * matrix.scale_max[..., None]  # [.., tile, group, column]
    scale = scale.transpose(-3, -2).flatten(-2).repeat_interleave(GROUP, -2)
    values = (unpack_codes(matrix).int() - (1 << (matrix.bits - 1))).half() * scale
    if matrix.perm is None:
        return values
    out = torch.empty_like(values)
    index = matrix.perm.long()[..., None].expand_as(values)
    return out.scatter_(-2, index, values)


def _identity(matrix: Packed) -> Tensor:
    """The permutation that changes nothing."""
    return torch.arange(matrix.in_features, dtype=torch.int16, device=matrix.steps.device)


def _same_permutation(one: Tensor | None, other: Tensor | None) -> bool:
    if one is None or other is None:
        return one is other
    return torch.equal(one, other)


def _pack_one(matrix: Exl2Matrix, bits: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """`words`, `high`, `steps`, `scale_max` of one matrix."""
    if matrix.out_features % TILE:
        raise ValueError(f"{matrix.out_features} columns are not a multiple of {TILE}")
    parts = [
        pack_codes(_codes(matrix, slice(start, start + _COLUMNS_AT_ONCE), bits), bits)
        for start in range(0, matrix.out_features, _COLUMNS_AT_ONCE)
    ]
    words, high = (torch.cat(same) for same in zip(*parts, strict=True))
    shifts = torch.arange(0, 32, 4, dtype=torch.int32, device=matrix.q_scale.device)
    steps = ((matrix.q_scale[..., None] >> shifts) & 15).to(torch.uint8)  # [groups, tile, column]
    steps = _per_group(matrix, steps).transpose(0, 1).contiguous()
    scale_max = _per_group(matrix, matrix.q_scale_max * (1 / 256))
    return words, high, steps, scale_max.expand(len(steps), -1).contiguous()


def _per_group(matrix: Exl2Matrix, values: Tensor) -> Tensor:
    """`values` `[EXL2's groups, ..]`, of 32, 64 or 128 rows, as `[groups of 32 rows, ..]`."""
    parts, first = [], 0
    # By runs of one size: repeating by a tensor of sizes would wait for the GPU.
    for num_rows, same in groupby(group.num_rows for group in matrix.groups):
        count = len(list(same))
        parts.append(values[first : first + count].repeat_interleave(num_rows // GROUP, 0))
        first += count
    return torch.cat(parts)


def _codes(matrix: Exl2Matrix, columns: slice, bits: int) -> Tensor:
    """Codes uint8 `[in, columns]` with their zero point moved to that of `bits`."""
    zero = 1 << (bits - 1)
    parts = []
    # By runs of one width: a matrix has some 90 groups, and each operation is a launch.
    for stored, same in groupby(matrix.groups, lambda group: group.bits):
        run = list(same)
        words = matrix.q_weight[run[0].first_word : run[-1].last_word, columns]
        moved = unpack(words.contiguous(), stored) + (zero - (1 << (stored - 1)))
        parts.append(moved.to(torch.uint8))
    return torch.cat(parts)
