"""The experts' products: rows sorted by expert, in blocks of which each has one expert."""

import torch
import triton
import triton.language as tl
from torch import Tensor

from inkling.engine.gpu.kernels.arguments import matrix_arguments
from inkling.engine.gpu.kernels.matrix import multiply
from inkling.engine.gpu.kernels.router import Blocks
from inkling.engine.gpu.kernels.tiles import Tile
from inkling.engine.gpu.layout import Matrix, Packed

_ALPHA: tl.constexpr = tl.constexpr(1.702)  # of gpt-oss's SwiGLU
_FEATURES = 256  # a block of `gather_kernel` moves so many of a row


def gate_up(
    x: Tensor, matrix: Matrix, bias: Tensor, blocks: Blocks, tile: Tile, top_k: int, limit: float
) -> Tensor:
    """What the experts hand to `down`, in sorted order: fp16 `[pairs, intermediate]`.

    x fp16 `[tokens, hidden]`, matrix `[experts, hidden, 2 * intermediate]` with its columns
    alternating gate, up, bias fp32 `[experts, 2 * intermediate]`.
    """
    num_pairs = len(blocks.pairs)
    arguments, bits, out_features = matrix_arguments(matrix)
    is_sorted = isinstance(matrix, Packed) and matrix.perm is not None
    if is_sorted:
        x = _gather(x, matrix, blocks, top_k)
    out = torch.empty((num_pairs, out_features // 2), dtype=torch.float16, device=x.device)
    grid = (len(blocks.expert) * triton.cdiv(out_features, tile.columns),)
    gate_up_kernel[grid](
        x,
        *arguments,
        bias,
        blocks.pairs,
        blocks.expert,
        blocks.first,
        blocks.rows,
        out,
        len(blocks.expert),
        limit,
        IS_SORTED=is_sorted,
        TOP_K=top_k,
        IN=x.shape[1],
        OUT=out_features,
        BITS=bits,
        **tile.launch,
    )
    return out


def down(
    x: Tensor, matrix: Matrix, bias: Tensor, weights: Tensor, blocks: Blocks, tile: Tile
) -> Tensor:
    """What each expert adds to its token, times its weight: fp32 `[tokens, top_k, hidden]`.

    x fp16 `[pairs, intermediate]` in sorted order, matrix `[experts, intermediate, hidden]`, bias
    fp32 `[experts, hidden]`, weights fp32 `[tokens, top_k]`.
    """
    arguments, bits, out_features = matrix_arguments(matrix)
    if isinstance(matrix, Packed) and matrix.perm is not None:
        x = _gather(x, matrix, blocks, 1)
    out = torch.empty((*weights.shape, out_features), dtype=torch.float32, device=x.device)
    grid = (len(blocks.expert) * triton.cdiv(out_features, tile.columns),)
    down_kernel[grid](
        x,
        *arguments,
        bias,
        weights,
        blocks.pairs,
        blocks.expert,
        blocks.first,
        blocks.rows,
        out,
        len(blocks.expert),
        IN=x.shape[1],
        OUT=out_features,
        BITS=bits,
        **tile.launch,
    )
    return out


def _gather(x: Tensor, matrix: Matrix, blocks: Blocks, top_k: int) -> Tensor:
    """Rows of x in sorted order, each with its features as its expert's matrix has them.

    With `top_k` above 1 x has a row for each token, otherwise one for each sorted pair. The
    products themselves take rows as they lie: gathered, x could not be copied 16 bytes at a time.
    """
    assert isinstance(matrix, Packed) and matrix.perm is not None
    features = x.shape[1]
    out = torch.empty((len(blocks.pairs), features), dtype=x.dtype, device=x.device)
    gather_kernel[(len(blocks.expert), triton.cdiv(features, _FEATURES))](
        x,
        matrix.perm,
        blocks.pairs,
        blocks.expert,
        blocks.first,
        blocks.rows,
        out,
        TOP_K=top_k,
        WIDTH=features,
        FEATURES=_FEATURES,
    )
    return out


@triton.jit(do_not_specialize=["num_blocks"])
def gate_up_kernel(
    x_ptr,
    words_ptr,
    high_ptr,
    scales_ptr,
    bias_ptr,
    pairs_ptr,
    block_expert_ptr,
    block_first_ptr,
    block_rows_ptr,
    out_ptr,
    num_blocks,
    limit,
    IS_SORTED: tl.constexpr,
    TOP_K: tl.constexpr,
    IN: tl.constexpr,
    OUT: tl.constexpr,
    BITS: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    GROUPS: tl.constexpr,
):
    """One tile of gate_up and SwiGLU. Blocks of one expert are neighbours and share its weights."""
    block = tl.program_id(0) % num_blocks
    first_column = tl.program_id(0) // num_blocks * COLUMNS
    num_rows = tl.load(block_rows_ptr + block)
    if num_rows == 0:
        return
    expert = tl.load(block_expert_ptr + block)
    place = tl.load(block_first_ptr + block) + tl.arange(0, ROWS)
    inside = tl.arange(0, ROWS) < num_rows
    row = place
    if not IS_SORTED:
        row = tl.load(pairs_ptr + place, mask=inside, other=0) // TOP_K
    out = multiply(
        x_ptr,
        row,
        inside,
        words_ptr,
        high_ptr,
        scales_ptr,
        expert,
        first_column,
        IN,
        OUT,
        BITS,
        COLUMNS,
        GROUPS,
    )
    column = first_column + tl.arange(0, COLUMNS)
    out += tl.load(bias_ptr + expert * OUT + column, mask=column < OUT, other=0.0)[None, :]
    gate, up = tl.split(tl.reshape(out, (ROWS, COLUMNS // 2, 2)))
    gate = tl.minimum(gate, limit)
    up = tl.minimum(tl.maximum(up, -limit), limit)
    hidden = (up + 1.0) * gate / (1.0 + tl.exp(-_ALPHA * gate))
    feature = first_column // 2 + tl.arange(0, COLUMNS // 2)
    at = place.to(tl.int64)[:, None] * (OUT // 2) + feature[None, :]
    stored = inside[:, None] & (feature < OUT // 2)[None, :]
    tl.store(out_ptr + at, hidden.to(tl.float16), mask=stored)


@triton.jit(do_not_specialize=["num_blocks"])
def down_kernel(
    x_ptr,
    words_ptr,
    high_ptr,
    scales_ptr,
    bias_ptr,
    weights_ptr,
    pairs_ptr,
    block_expert_ptr,
    block_first_ptr,
    block_rows_ptr,
    out_ptr,
    num_blocks,
    IN: tl.constexpr,
    OUT: tl.constexpr,
    BITS: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    GROUPS: tl.constexpr,
):
    """One tile of down, its rows back in the order of the pairs."""
    block = tl.program_id(0) % num_blocks
    first_column = tl.program_id(0) // num_blocks * COLUMNS
    num_rows = tl.load(block_rows_ptr + block)
    if num_rows == 0:
        return
    expert = tl.load(block_expert_ptr + block)
    place = tl.load(block_first_ptr + block) + tl.arange(0, ROWS)
    inside = tl.arange(0, ROWS) < num_rows
    out = multiply(
        x_ptr,
        place,
        inside,
        words_ptr,
        high_ptr,
        scales_ptr,
        expert,
        first_column,
        IN,
        OUT,
        BITS,
        COLUMNS,
        GROUPS,
    )
    column = first_column + tl.arange(0, COLUMNS)
    out += tl.load(bias_ptr + expert * OUT + column, mask=column < OUT, other=0.0)[None, :]
    pair = tl.load(pairs_ptr + place, mask=inside, other=0)
    out *= tl.load(weights_ptr + pair, mask=inside, other=0.0)[:, None]
    at = pair.to(tl.int64)[:, None] * OUT + column[None, :]
    tl.store(out_ptr + at, out, mask=inside[:, None] & (column < OUT)[None, :])


@triton.jit
def gather_kernel(
    x_ptr,
    perm_ptr,
    pairs_ptr,
    block_expert_ptr,
    block_first_ptr,
    block_rows_ptr,
    out_ptr,
    TOP_K: tl.constexpr,
    WIDTH: tl.constexpr,
    FEATURES: tl.constexpr,
):
    """Some features of the rows of one block."""
    block = tl.program_id(0)
    num_rows = tl.load(block_rows_ptr + block)
    expert = tl.load(block_expert_ptr + block)
    first = tl.load(block_first_ptr + block)
    feature = tl.program_id(1) * FEATURES + tl.arange(0, FEATURES)
    inside = feature < WIDTH
    source = tl.load(perm_ptr + expert * WIDTH + feature, mask=inside, other=0).to(tl.int32)
    for place in range(first, first + num_rows):
        row = place
        if TOP_K > 1:
            row = tl.load(pairs_ptr + place) // TOP_K
        moved = tl.load(x_ptr + row * WIDTH + source, mask=inside, other=0.0)
        tl.store(out_ptr + place * WIDTH + feature, moved, mask=inside)
