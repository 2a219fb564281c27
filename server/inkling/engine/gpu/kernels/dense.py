"""Products of all rows with one matrix."""

import torch
import triton
import triton.language as tl
from torch import Tensor

from inkling.engine.gpu.kernels.arguments import matrix_arguments
from inkling.engine.gpu.kernels.matrix import multiply
from inkling.engine.gpu.kernels.tiles import dense_tile
from inkling.engine.gpu.layout import Matrix, Packed


def dense(
    x: Tensor, matrix: Matrix, bias: Tensor | None = None, residual: Tensor | None = None
) -> Tensor:
    """fp32 `[rows, out]` of x fp16 `[rows, in]`, plus a bias fp32 `[out]`.

    With a residual fp32 `[rows, out]` the product is added to it in place.
    """
    if isinstance(matrix, Packed) and matrix.perm is not None:
        x = x.index_select(1, matrix.perm.int())
    num_rows, in_features = x.shape
    arguments, bits, out_features = matrix_arguments(matrix)
    out = residual
    if out is None:
        out = torch.empty((num_rows, out_features), dtype=torch.float32, device=x.device)
    tile = dense_tile(num_rows)
    blocks = triton.cdiv(num_rows, tile.rows) * triton.cdiv(out_features, tile.columns)
    dense_kernel[(blocks,)](
        x,
        *arguments,
        out if bias is None else bias,
        out,
        num_rows,
        IN=in_features,
        OUT=out_features,
        BITS=bits,
        HAS_BIAS=bias is not None,
        HAS_RESIDUAL=residual is not None,
        **tile.launch,
    )
    return out


@triton.jit(do_not_specialize=["num_rows"])
def dense_kernel(
    x_ptr,
    words_ptr,
    high_ptr,
    scales_ptr,
    bias_ptr,
    out_ptr,
    num_rows,
    IN: tl.constexpr,
    OUT: tl.constexpr,
    BITS: tl.constexpr,
    HAS_BIAS: tl.constexpr,
    HAS_RESIDUAL: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    GROUPS: tl.constexpr,
):
    """One tile of the product. Blocks of rows are neighbours: they share weights in the L2 cache."""
    num_blocks = tl.cdiv(num_rows, ROWS)
    row = tl.program_id(0) % num_blocks * ROWS + tl.arange(0, ROWS)
    first_column = tl.program_id(0) // num_blocks * COLUMNS
    row_inside = row < num_rows
    out = multiply(
        x_ptr,
        row,
        row_inside,
        words_ptr,
        high_ptr,
        scales_ptr,
        tl.full((), 0, tl.int32),
        first_column,
        IN,
        OUT,
        BITS,
        COLUMNS,
        GROUPS,
    )
    column = first_column + tl.arange(0, COLUMNS)
    if HAS_BIAS:
        out += tl.load(bias_ptr + column, mask=column < OUT, other=0.0)[None, :]
    at = row.to(tl.int64)[:, None] * OUT + column[None, :]
    inside = row_inside[:, None] & (column < OUT)[None, :]
    if HAS_RESIDUAL:
        out += tl.load(out_ptr + at, mask=inside, other=0.0)
    tl.store(out_ptr + at, out, mask=inside)
