"""Which experts each token goes to, and the order in which they are multiplied."""

from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor

_FEATURES = 128  # taken at a time by `route_kernel`
_PAIRS = 512  # looked at at a time by `sort_kernel`


@dataclass(frozen=True)
class Blocks:
    """Pairs (token, chosen expert) sorted by expert, and cut into blocks of one expert each.

    Pair `token * top_k + i` is the token's i-th choice. The number of blocks is the most there can
    be; those not needed have no rows. All int32, made and read on the device only.
    """

    pairs: Tensor  # [pairs]
    expert: Tensor  # [blocks]
    first: Tensor  # [blocks], the place of the first row among the sorted pairs
    rows: Tensor  # [blocks]


def route(
    x: Tensor, norm: Tensor, router: Tensor, bias: Tensor, top_k: int, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Norm and choice of experts, in fp32, of x fp32 `[tokens, hidden]`.

    Returns the normed x fp16, the chosen experts int32 `[tokens, top_k]`, best first, and their
    softmax weights fp32 `[tokens, top_k]`.
    """
    num_tokens, hidden = x.shape
    normed = torch.empty((num_tokens, hidden), dtype=torch.float16, device=x.device)
    chosen = torch.empty((num_tokens, top_k), dtype=torch.int32, device=x.device)
    weights = torch.empty((num_tokens, top_k), dtype=torch.float32, device=x.device)
    # Each block of threads reads the whole router: worth sharing among several rows if there are
    # enough of them.
    rows = 1 if num_tokens <= 64 else 4
    route_kernel[(triton.cdiv(num_tokens, rows),)](
        x,
        norm,
        router,
        bias,
        normed,
        chosen,
        weights,
        num_tokens,
        eps,
        HIDDEN=hidden,
        EXPERTS=router.shape[0],
        TOP_K=top_k,
        ROWS=rows,
        FEATURES=_FEATURES,
        num_warps=8,
    )
    return normed, chosen, weights


def sort_by_expert(chosen: Tensor, num_experts: int, rows: int) -> Blocks:
    """Blocks of at most `rows` rows of the pairs `chosen` int32 `[tokens, top_k]`."""
    num_pairs = chosen.numel()
    num_used = min(num_pairs, num_experts)
    most = num_used + (num_pairs - num_used) // rows
    blocks = Blocks(*(chosen.new_empty(size) for size in (num_pairs, most, most, most)))
    sort_kernel[(num_experts,)](
        chosen,
        blocks.pairs,
        blocks.expert,
        blocks.first,
        blocks.rows,
        num_pairs,
        most,
        EXPERTS=num_experts,
        ROWS=rows,
        PAIRS=_PAIRS,
        num_warps=8,
    )
    return blocks


@triton.jit(do_not_specialize=["num_tokens"])
def route_kernel(
    x_ptr,
    norm_ptr,
    router_ptr,
    bias_ptr,
    normed_ptr,
    chosen_ptr,
    weights_ptr,
    num_tokens,
    eps,
    HIDDEN: tl.constexpr,
    EXPERTS: tl.constexpr,
    TOP_K: tl.constexpr,
    ROWS: tl.constexpr,
    FEATURES: tl.constexpr,
):
    """ROWS tokens. Products are summed before the norm's factor, which is known at the end."""
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    row_inside = row < num_tokens
    expert = tl.arange(0, EXPERTS)
    squares = tl.zeros((ROWS, FEATURES), tl.float32)
    products = tl.zeros((ROWS, EXPERTS, FEATURES), tl.float32)
    for first in tl.range(0, HIDDEN, FEATURES, num_stages=3):
        feature = first + tl.arange(0, FEATURES)
        inside = feature < HIDDEN
        at = row[:, None] * HIDDEN + feature[None, :]
        x = tl.load(x_ptr + at, mask=row_inside[:, None] & inside[None, :], other=0.0)
        squares += x * x
        weighted = x * tl.load(norm_ptr + feature, mask=inside, other=0.0)[None, :]
        router = tl.load(
            router_ptr + expert[:, None] * HIDDEN + feature[None, :],
            mask=inside[None, :] & (expert >= 0)[:, None],
            other=0.0,
        )
        products += weighted[:, None, :] * router[None, :, :]
    factor = tl.rsqrt(tl.sum(squares, 1) / HIDDEN + eps)
    logits = tl.sum(products, 2) * factor[:, None] + tl.load(bias_ptr + expert)[None, :]
    for first in range(0, HIDDEN, 8 * FEATURES):
        feature = first + tl.arange(0, 8 * FEATURES)
        inside = feature < HIDDEN
        at = row[:, None] * HIDDEN + feature[None, :]
        both = row_inside[:, None] & inside[None, :]
        x = tl.load(x_ptr + at, mask=both, other=0.0)
        weighted = x * tl.load(norm_ptr + feature, mask=inside, other=0.0)[None, :]
        tl.store(normed_ptr + at, (weighted * factor[:, None]).to(tl.float16), mask=both)

    # An expert's rank is how many are better, or as good and before it.
    mine = logits[:, :, None]
    other = logits[:, None, :]
    is_before = expert[None, None, :] < expert[None, :, None]
    is_better = (other > mine) | ((other == mine) & is_before)
    rank = tl.sum(is_better.to(tl.int32), 2)
    powers = tl.exp(logits - tl.max(logits, 1)[:, None])
    total = tl.sum(tl.where(rank < TOP_K, powers, 0.0), 1)
    for i in tl.static_range(TOP_K):
        best = tl.sum(tl.where(rank == i, expert[None, :], 0), 1)
        # Logits that are NaN have no order: whatever comes out must still be an expert.
        best = tl.minimum(best, EXPERTS - 1)
        weight = tl.sum(tl.where(rank == i, powers, 0.0), 1) / total
        tl.store(chosen_ptr + row * TOP_K + i, best, mask=row_inside)
        tl.store(weights_ptr + row * TOP_K + i, weight, mask=row_inside)


@triton.jit(do_not_specialize=["num_pairs", "num_blocks"])
def sort_kernel(
    chosen_ptr,
    pairs_ptr,
    block_expert_ptr,
    block_first_ptr,
    block_rows_ptr,
    num_pairs,
    num_blocks,
    EXPERTS: tl.constexpr,
    ROWS: tl.constexpr,
    PAIRS: tl.constexpr,
):
    """The pairs and blocks of one expert, after those of the experts before it."""
    me = tl.program_id(0)
    expert = tl.arange(0, EXPERTS)
    counts = tl.zeros((EXPERTS,), tl.int32)
    for first in range(0, num_pairs, PAIRS):
        pair = first + tl.arange(0, PAIRS)
        chosen = tl.load(chosen_ptr + pair, mask=pair < num_pairs, other=EXPERTS)
        counts += tl.sum((chosen[:, None] == expert[None, :]).to(tl.int32), 0)
    blocks = (counts + ROWS - 1) // ROWS
    first_place = tl.sum(tl.where(expert < me, counts, 0), 0)
    first_block = tl.sum(tl.where(expert < me, blocks, 0), 0)
    count = tl.sum(tl.where(expert == me, counts, 0), 0)

    place = first_place
    for first in range(0, num_pairs, PAIRS):
        pair = first + tl.arange(0, PAIRS)
        chosen = tl.load(chosen_ptr + pair, mask=pair < num_pairs, other=EXPERTS)
        is_mine = chosen == me
        order = tl.cumsum(is_mine.to(tl.int32), 0)
        tl.store(pairs_ptr + place + order - 1, pair, mask=is_mine)
        place += tl.sum(is_mine.to(tl.int32), 0)

    for done in range(0, count, ROWS):
        block = first_block + done // ROWS
        tl.store(block_expert_ptr + block, me)
        tl.store(block_first_ptr + block, first_place + done)
        tl.store(block_rows_ptr + block, tl.minimum(count - done, ROWS))
    if me == EXPERTS - 1:
        for block in range(tl.sum(blocks, 0), num_blocks):
            tl.store(block_expert_ptr + block, 0)
            tl.store(block_first_ptr + block, 0)
            tl.store(block_rows_ptr + block, 0)
