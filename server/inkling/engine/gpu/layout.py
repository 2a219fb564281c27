"""How matrices lie in video memory: the checkpoint's values, ordered for kernels that stream them.

A matrix `[in, out]` is cut into tiles of 8 columns. Within a tile the groups of 32 rows follow one
another, and within a group each of the 8 columns has its 32 codes together, so that a warp reads 4
groups of a tile as one run of memory. How codes become words is told in `codes`.

    words       int32  [out / 8, groups, 8, 3, 4 or 8]  codes, or their lower bits
    high        int32  [out / 8, groups, 8, 1 or 2]     higher bits (5 and 6 bits only)
    scales      uint8  [out / 8, groups, 8]             what scales the 8 columns in a group

Of MXFP4 the 8 bytes of `scales` are the columns' exponents + 127. Of EXL2 they are

    bytes 0 to 3    the columns' s, 0 to 15: EXL2's q_scale as it is, column c at bits 4 c
    bytes 4 and 5   scale_max: q_scale_max / 256, fp16
    bytes 6 and 7   0

all with the lowest byte first, so that 8 bytes a tile and group, aligned, scale a matrix of any
kind. Matrices of several experts have one more dimension in front. A value of EXL2 is

    (code - 2**(bits - 1)) * fp16((s + 1)**2 * scale_max)

with the product of the scale rounded to fp16, which is EXL2's own arithmetic; one of MXFP4 is
`E2M1[code] * 2**exponent`. The layout loses nothing. A group of fewer bits than the matrix is
stored at the matrix's width, its codes moved so that the values stay the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor

from inkling.engine.exl2.dequant import unpack
from inkling.engine.exl2.format import Exl2Matrix
from inkling.engine.gpu.codes import (
    GROUP,
    MXFP4,
    PLANES,
    TILE,
    pack_blocks,
    pack_codes,
    unpack_codes,
)
from inkling.engine.mxfp4 import BIAS, E2M1, Mxfp4Matrix

WIDTHS = (3, 4, 5, 6, 8)  # bits a code of EXL2 can take here
# The largest exponent of MXFP4: up to there fp16, in which Triton's kernels scale, has the scale.
_MOST_EXPONENT = 1
# Columns packed at a time: bounds what packing needs beside its result.
_COLUMNS_AT_ONCE = 8192


@dataclass(frozen=True)
class Packed:
    """One quantized matrix, or one of each expert. `bits`: one of WIDTHS, or MXFP4. `perm` int16
    `[.., in]` (None: as they come) says which input feature the stored row k multiplies."""

    bits: int
    words: Tensor
    high: Tensor | None
    scales: Tensor
    perm: Tensor | None

    @property
    def in_features(self) -> int:
        return self.scales.shape[-2] * GROUP

    @property
    def out_features(self) -> int:
        return self.scales.shape[-3] * TILE

    @property
    def num_groups(self) -> int:
        return self.scales.shape[-2]

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        tensors = (self.words, self.high, self.scales, self.perm)
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
# As checkpoints have them.
Quantized = Exl2Matrix | Mxfp4Matrix


def packed_nbytes(bits: int, in_features: int, out_features: int) -> int:
    """Bytes of a packed matrix of `bits` (one of WIDTHS, or MXFP4), without a permutation."""
    return in_features // GROUP * out_features * (4 * sum(PLANES[bits]) + 1)


def stored_bits(matrix: Exl2Matrix) -> int:
    """The width that holds every group of a matrix: of WIDTHS."""
    widest = max(group.bits for group in matrix.groups)
    return next(bits for bits in WIDTHS if bits >= widest)


def pack(matrices: Sequence[Quantized], bits: int) -> Packed:
    """Matrices of one format: `pack_exl2`, or with `bits` MXFP4 `pack_mxfp4`."""
    if bits == MXFP4:
        return pack_mxfp4([matrix for matrix in matrices if isinstance(matrix, Mxfp4Matrix)])
    return pack_exl2([matrix for matrix in matrices if isinstance(matrix, Exl2Matrix)], bits)


def can_pack(matrix: Mxfp4Matrix) -> bool:
    """Whether the layout takes a matrix as it is: whole tiles, and no weight above 12."""
    largest = int(matrix.scales.max()) - BIAS
    return matrix.out_features % TILE == 0 and largest <= _MOST_EXPONENT


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
    words, high, scales = (torch.cat(same) for same in zip(*parts, strict=True))
    return Packed(bits, words, high if PLANES[bits][1] else None, scales, perm)


def pack_mxfp4(matrices: Sequence[Mxfp4Matrix]) -> Packed:
    """One or several MXFP4 matrices, for which `can_pack` holds, side by side as one.

    Works on the device of the matrices' tensors.
    """
    words = torch.cat([pack_blocks(matrix.blocks) for matrix in matrices])
    columns = torch.cat([matrix.scales for matrix in matrices])  # [out, groups]
    scales = torch.unflatten(columns, 0, (-1, TILE)).transpose(1, 2).contiguous()
    return Packed(MXFP4, words, high=None, scales=scales, perm=None)


def join_scales(q_scale: Tensor, scale_max: Tensor) -> Tensor:
    """EXL2's `scales` uint8 `[.., 8]` of words q_scale int32 `[..]` and of scale_max, which is
    rounded to fp16 and may lack dimensions in front."""
    scales = torch.zeros((*q_scale.shape, TILE), dtype=torch.uint8, device=q_scale.device)
    scales.view(torch.int32)[..., 0] = q_scale
    scales.view(torch.float16)[..., 2] = scale_max
    return scales


def split_scales(scales: Tensor) -> tuple[Tensor, Tensor]:
    """The steps s uint8 `[.., 8]`, a column each, and scale_max fp16 `[..]` of EXL2's `scales`."""
    shifts = torch.arange(0, 32, 4, dtype=torch.int32, device=scales.device)
    steps = (scales.view(torch.int32)[..., :1] >> shifts) & 15
    return steps.to(torch.uint8), scales.view(torch.float16)[..., 2]


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
    num_words, num_high = PLANES[bits]

    def empty(dtype: torch.dtype, *shape: int) -> Tensor:
        return torch.empty(shape, dtype=dtype, device=device)

    return Packed(
        bits,
        words=empty(torch.int32, *groups, TILE, num_words),
        high=empty(torch.int32, *groups, TILE, num_high) if num_high else None,
        scales=empty(torch.uint8, *groups, TILE),
        perm=empty(torch.int16, count, in_features) if is_permuted else None,
    )


def put(stack: Packed, index: int, matrix: Packed) -> None:
    """Copy one matrix into its place of a stack of its shape and width.

    A stack that has permutations takes matrices without one too; the reverse is a ValueError.
    """
    stack.words[index] = matrix.words
    if stack.high is not None and matrix.high is not None:
        stack.high[index] = matrix.high
    stack.scales[index] = matrix.scales
    if stack.perm is not None:
        stack.perm[index] = _identity(matrix) if matrix.perm is None else matrix.perm
    elif matrix.perm is not None:
        raise ValueError("a stack without permutations cannot hold a permuted matrix")


def dequantize(matrix: Packed) -> Tensor:
    """The matrix `[.., in, out]` in the order of the input features: fp16, of MXFP4 fp32. For tests
    and checks."""
    codes = unpack_codes(matrix.words, matrix.high, matrix.bits).int()
    if matrix.bits == MXFP4:
        exponents = _by_rows(matrix.scales.int() - BIAS)
        return torch.ldexp(torch.tensor(E2M1, device=codes.device)[codes], exponents)
    steps, scale_max = split_scales(matrix.scales)
    root = steps.int() + 1
    scale = (root * root).half() * scale_max[..., None]  # [.., tile, group, column]
    values = (codes - (1 << (matrix.bits - 1))).half() * _by_rows(scale)
    if matrix.perm is None:
        return values
    out = torch.empty_like(values)
    index = matrix.perm.long()[..., None].expand_as(values)
    return out.scatter_(-2, index, values)


def _by_rows(scale: Tensor) -> Tensor:
    """`[.., in, out]` of `[.., tile, group, column]`."""
    return scale.transpose(-3, -2).flatten(-2).repeat_interleave(GROUP, -2)


def _identity(matrix: Packed) -> Tensor:
    """The permutation that changes nothing."""
    return torch.arange(matrix.in_features, dtype=torch.int16, device=matrix.scales.device)


def _same_permutation(one: Tensor | None, other: Tensor | None) -> bool:
    if one is None or other is None:
        return one is other
    return torch.equal(one, other)


def _pack_one(matrix: Exl2Matrix, bits: int) -> tuple[Tensor, Tensor, Tensor]:
    """`words`, `high`, `scales` of one matrix."""
    if matrix.out_features % TILE:
        raise ValueError(f"{matrix.out_features} columns are not a multiple of {TILE}")
    parts = [
        pack_codes(_codes(matrix, slice(start, start + _COLUMNS_AT_ONCE), bits), bits)
        for start in range(0, matrix.out_features, _COLUMNS_AT_ONCE)
    ]
    words, high = (torch.cat(same) for same in zip(*parts, strict=True))
    q_scale = _per_group(matrix, matrix.q_scale).transpose(0, 1)  # [tile, groups]
    scale_max = _per_group(matrix, matrix.q_scale_max * (1 / 256))
    return words, high, join_scales(q_scale, scale_max)


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
