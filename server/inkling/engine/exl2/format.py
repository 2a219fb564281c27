"""The EXL2 tensors of one matrix `[in_features, out_features]`, checked.

    q_weight     int32 [sum of rows * bits / 32 over groups, out]
    q_scale      int32 [groups, out / 8]    eight 4-bit s a word, column 0 in the lowest bits
    q_scale_max  fp16  [groups]
    q_groups     int16 [2 * groups]         (bits, first row in q_weight) of each group
    q_invperm    int32 [in], optional       where each input feature lies among the stored rows

A group is some rows of the matrix that share a bit width. Within it, each run of 32 rows takes
`bits` words a column: the codes one after another, lowest bits first. A value is

    (code - 2**(bits - 1)) * scale,    scale = (s + 1)**2 * (q_scale_max / 256)

where every product is rounded to fp16.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from inkling.errors import CheckpointError

BIT_WIDTHS = (2, 3, 4, 5, 6, 8)
GROUP_SIZES = (32, 64, 128)
REQUIRED = ("q_weight", "q_scale", "q_scale_max", "q_groups")
OPTIONAL = ("q_invperm",)


@dataclass(frozen=True)
class Group:
    """Rows `first_row`.. of the stored matrix, packed in `q_weight[first_word:last_word]`."""

    bits: int
    first_row: int
    num_rows: int
    first_word: int
    last_word: int


@dataclass(frozen=True)
class Exl2Matrix:
    """One checked quantized matrix."""

    q_weight: Tensor
    q_scale: Tensor
    q_scale_max: Tensor
    q_invperm: Tensor | None
    groups: tuple[Group, ...]
    in_features: int
    out_features: int


def parse(
    name: str, tensors: Mapping[str, Tensor], in_features: int, out_features: int
) -> Exl2Matrix:
    """Check the tensors (`q_weight`, ...) of matrix `name` against the format and its shape.

    Raises CheckpointError for a missing tensor, a wrong shape or type, an unknown bit width,
    columns that are no multiple of 8, scales that are not finite, and a `q_invperm` that is no
    permutation.
    """
    for part in REQUIRED:
        if part not in tensors:
            raise CheckpointError(
                f"The checkpoint lacks the tensor {name}.{part}: copy or convert it again."
            )
    groups = _groups(name, tensors["q_groups"], tensors["q_weight"])
    stored_rows = groups[-1].first_row + groups[-1].num_rows
    _expect(name, "q_weight", tensors, torch.int32, (groups[-1].last_word, out_features))
    if stored_rows != in_features:
        raise CheckpointError(
            f"The tensor {name}.q_weight should hold {in_features} rows but its groups add up to"
            f" {stored_rows}: convert the checkpoint again for this config.json."
        )
    if out_features % 8:
        raise CheckpointError(
            f"The matrix {name} has {out_features} columns, but EXL2 stores scales in eights: convert"
            " the checkpoint again with this matrix in fp16."
        )
    _expect(name, "q_scale", tensors, torch.int32, (len(groups), out_features // 8))
    _expect(name, "q_scale_max", tensors, torch.float16, (len(groups),))
    if not bool(tensors["q_scale_max"].isfinite().all()):
        raise CheckpointError(
            f"The tensor {name}.q_scale_max holds NaN or infinity: copy or convert the checkpoint"
            " again."
        )
    invperm = tensors.get("q_invperm")
    if invperm is not None and not torch.equal(
        invperm.long().sort().values, torch.arange(in_features, device=invperm.device)
    ):
        raise CheckpointError(
            f"The tensor {name}.q_invperm is not a permutation of {in_features} rows: copy or"
            " convert the checkpoint again."
        )
    return Exl2Matrix(
        q_weight=tensors["q_weight"],
        q_scale=tensors["q_scale"],
        q_scale_max=tensors["q_scale_max"],
        q_invperm=invperm,
        groups=groups,
        in_features=in_features,
        out_features=out_features,
    )


def _groups(name: str, q_groups: Tensor, q_weight: Tensor) -> tuple[Group, ...]:
    if (
        q_groups.dtype != torch.int16
        or q_groups.dim() != 1
        or len(q_groups) % 2
        or not len(q_groups)
    ):
        raise CheckpointError(
            f"The tensor {name}.q_groups should be int16 pairs (bits, first row) but is"
            f" {_describe(q_groups)}: convert the checkpoint again."
        )
    # First rows pass 32767 in large matrices: the 16 bits are unsigned.
    flat = [value & 0xFFFF for value in q_groups.tolist()]
    bits_of, first_words = flat[::2], flat[1::2]
    groups: list[Group] = []
    row = 0
    for bits, first, last in zip(
        bits_of, first_words, [*first_words[1:], len(q_weight)], strict=True
    ):
        if bits not in BIT_WIDTHS:
            raise CheckpointError(
                f"The tensor {name}.q_groups asks for {bits} bits: EXL2 has"
                f" {', '.join(map(str, BIT_WIDTHS))}."
            )
        words = last - first
        if words <= 0 or words % bits or (not groups and first):
            raise CheckpointError(
                f"The tensor {name}.q_groups does not fit {name}.q_weight (a group of {words} words"
                f" at {bits} bits): copy or convert the checkpoint again."
            )
        groups.append(Group(bits, row, words // bits * 32, first, last))
        row += words // bits * 32
    return tuple(groups)


def _expect(
    name: str,
    part: str,
    tensors: Mapping[str, Tensor],
    dtype: torch.dtype,
    shape: tuple[int, ...],
) -> None:
    tensor = tensors[part]
    if tensor.dtype != dtype or tuple(tensor.shape) != shape:
        want = f"{str(dtype).removeprefix('torch.')} {list(shape)}"
        raise CheckpointError(
            f"The tensor {name}.{part} should be {want} but is {_describe(tensor)}: convert the"
            " checkpoint again for this config.json."
        )


def _describe(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"
