"""Attention over the pages of one sequence."""

import math

import torch
import triton
import triton.language as tl
from torch import Tensor

from inkling.engine.gpu.kernels.rotary import Sequence
from inkling.engine.model.paged_kv import KVBits, LayerKV

_ROWS = 128  # queries of a block of threads at most: tokens times the heads that share keys
_KEYS = 64  # taken at a time
# Blocks of threads wanted, two for each multiprocessor: below, the keys are split among several.
_BLOCKS = 256
_MOST_SPLITS = 32
_NOTHING: tl.constexpr = tl.constexpr(-1e30)  # a score that takes no weight
_LOG2_E = math.log2(math.e)


def attend(
    queries: Tensor,
    sequence: Sequence,
    kv: LayerKV,
    sinks: Tensor,
    window: int | None,
) -> Tensor:
    """Causal attention with sinks: fp16 `[tokens, heads * head_dim]`.

    A token sees the last `window` positions, its own among them (None: all). The keys and values
    of the pass are already in the pages. sinks fp32 `[heads]`.
    """
    num_tokens, num_heads, head_dim = queries.shape
    _, page_len, num_kv_heads, _ = kv.keys.shape
    group = num_heads // num_kv_heads
    tokens = min(triton.next_power_of_2(num_tokens), max(1, _ROWS // group))
    blocks = triton.cdiv(num_tokens, tokens)
    splits = _num_splits(blocks * num_kv_heads, tokens, window)
    rows = max(16, triton.next_power_of_2(tokens * group))
    device = queries.device
    out = torch.empty((num_tokens, num_heads * head_dim), dtype=torch.float16, device=device)
    partial = peak = total = sinks  # not read if there is nothing to combine
    if splits > 1:
        shape = (num_tokens, num_heads, splits)
        partial = torch.empty((*shape, head_dim), dtype=torch.float32, device=device)
        peak = torch.empty(shape, dtype=torch.float32, device=device)
        total = torch.empty(shape, dtype=torch.float32, device=device)
    attend_kernel[(blocks, num_kv_heads, splits)](
        queries,
        kv.keys,
        kv.values,
        kv.key_scales,
        kv.value_scales,
        sequence.page_table,
        sequence.start,
        sequence.num_rows,
        sinks,
        out,
        partial,
        peak,
        total,
        num_tokens,
        head_dim**-0.5 * _LOG2_E,
        _LOG2_E,
        WINDOW=window or 0,
        PAGE_LEN=page_len,
        HEADS=num_heads,
        KV_HEADS=num_kv_heads,
        HEAD_DIM=head_dim,
        TOKENS=tokens,
        ROWS=rows,
        KEYS=_KEYS,
        SPLITS=splits,
        KV_BITS=kv.bits,
        **launch_options(rows, kv.bits),
    )
    if splits > 1:
        combine_kernel[(num_tokens * num_heads,)](
            partial,
            peak,
            total,
            sinks,
            out,
            _LOG2_E,
            HEADS=num_heads,
            HEAD_DIM=head_dim,
            SPLITS=splits,
            num_warps=1,
        )
    return out


def launch_options(rows: int, kv_bits: KVBits) -> dict[str, int]:
    """How `attend_kernel` is launched for so many rows."""
    if rows <= 64:
        return {"num_warps": 4, "num_stages": 3}
    options = {"num_warps": 8, "num_stages": 3}
    # Codes on their way to fp16 take registers: 169, with which a multiprocessor would hold one block.
    return options | {"maxnreg": 128} if kv_bits == 8 else options


def _num_splits(blocks: int, tokens: int, window: int | None) -> int:
    """Among how many blocks of threads the keys are split: a power of 2, however many there are."""
    splits: int = min(_MOST_SPLITS, triton.next_power_of_2(triton.cdiv(_BLOCKS, blocks)))
    if window is not None:
        splits = min(splits, triton.next_power_of_2(triton.cdiv(window + tokens, 4 * _KEYS)))
    return splits


@triton.jit(do_not_specialize=["num_tokens"])
def attend_kernel(
    queries_ptr,
    keys_ptr,
    values_ptr,
    key_scales_ptr,
    value_scales_ptr,
    page_table_ptr,
    start_ptr,
    num_rows_ptr,
    sinks_ptr,
    out_ptr,
    partial_ptr,
    peak_ptr,
    total_ptr,
    num_tokens,
    scale,
    log2_e,
    WINDOW: tl.constexpr,
    PAGE_LEN: tl.constexpr,
    HEADS: tl.constexpr,
    KV_HEADS: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    TOKENS: tl.constexpr,
    ROWS: tl.constexpr,
    KEYS: tl.constexpr,
    SPLITS: tl.constexpr,
    KV_BITS: tl.constexpr,
):
    """TOKENS tokens, the heads of one kv head, and the keys of one split. Scores are in base 2."""
    GROUP: tl.constexpr = HEADS // KV_HEADS
    first_token = tl.program_id(0) * TOKENS
    kv_head = tl.program_id(1)
    split = tl.program_id(2)
    start = tl.load(start_ptr)
    num_rows = tl.load(num_rows_ptr)

    row = tl.arange(0, ROWS)
    token = first_token + row // GROUP
    head = kv_head * GROUP + row % GROUP
    row_inside = (row < TOKENS * GROUP) & (token < num_tokens)
    # Padding sees what the last token sees: the positions after it may lie on no page.
    position = start + tl.minimum(token, num_rows - 1)

    d = tl.arange(0, HEAD_DIM)
    at = (token * HEADS + head)[:, None] * HEAD_DIM + d[None, :]
    inside = row_inside[:, None] & (d >= 0)[None, :]
    q = tl.load(queries_ptr + at, mask=inside, other=0.0)

    end = start + tl.minimum(first_token + TOKENS, num_rows)
    low = 0
    if WINDOW > 0:
        low = tl.maximum(0, start + first_token - WINDOW + 1)
    share = tl.cdiv(tl.cdiv(end - low, SPLITS), KEYS) * KEYS
    low += split * share
    high = tl.minimum(end, low + share)

    peak = tl.full((ROWS,), _NOTHING, tl.float32)
    total = tl.zeros((ROWS,), tl.float32)
    out = tl.zeros((ROWS, HEAD_DIM), tl.float32)
    for first_key in range(low, high, KEYS):
        key = first_key + tl.arange(0, KEYS)
        key_inside = key < high
        page = tl.load(page_table_ptr + key // PAGE_LEN, mask=key_inside, other=0).to(tl.int64)
        slot = (page * PAGE_LEN + key % PAGE_LEN) * KV_HEADS + kv_head
        at_key = slot[:, None] * HEAD_DIM + d[None, :]
        # What was never written may be NaN, which no weight of 0 would hide.
        k = tl.load(keys_ptr + at_key, mask=key_inside[:, None], other=0.0)
        v = tl.load(values_ptr + at_key, mask=key_inside[:, None], other=0.0)
        if KV_BITS == 8:
            k = k.to(tl.float16)
            key_scale = tl.load(key_scales_ptr + slot, mask=key_inside, other=0.0)
            value_scale = tl.load(value_scales_ptr + slot, mask=key_inside, other=0.0)
            v = v.to(tl.float16) * value_scale[:, None]
        scores = tl.dot(q, tl.trans(k)) * scale
        if KV_BITS == 8:
            scores = scores * key_scale.to(tl.float32)[None, :]
        seen = key_inside[None, :] & (key[None, :] <= position[:, None])
        if WINDOW > 0:
            seen = seen & (key[None, :] > position[:, None] - WINDOW)
        scores = tl.where(seen, scores, _NOTHING)
        new_peak = tl.maximum(peak, tl.max(scores, 1))
        weights = tl.exp2(scores - new_peak[:, None])
        shrink = tl.exp2(peak - new_peak)
        total = total * shrink + tl.sum(weights, 1)
        out = tl.dot(weights.to(tl.float16), v, out * shrink[:, None])
        peak = new_peak

    # A row that saw nothing yet counts keys at full weight, with a peak that makes them vanish.
    if SPLITS == 1:
        sink = tl.load(sinks_ptr + head, mask=row_inside, other=0.0) * log2_e
        last_peak = tl.maximum(peak, sink)
        shrink = tl.exp2(peak - last_peak)
        share_of_row = shrink / (total * shrink + tl.exp2(sink - last_peak))
        tl.store(out_ptr + at, (out * share_of_row[:, None]).to(tl.float16), mask=inside)
    else:
        at_split = (token * HEADS + head) * SPLITS + split
        tl.store(peak_ptr + at_split, peak, mask=row_inside)
        tl.store(total_ptr + at_split, total, mask=row_inside)
        tl.store(partial_ptr + at_split[:, None] * HEAD_DIM + d[None, :], out, mask=inside)


@triton.jit
def combine_kernel(
    partial_ptr,
    peak_ptr,
    total_ptr,
    sinks_ptr,
    out_ptr,
    log2_e,
    HEADS: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    SPLITS: tl.constexpr,
):
    """The splits of one head of one token, and its sink: a score that brings no value."""
    row = tl.program_id(0)
    at = row * SPLITS + tl.arange(0, SPLITS)
    d = tl.arange(0, HEAD_DIM)
    peak = tl.load(peak_ptr + at)
    sink = tl.load(sinks_ptr + row % HEADS) * log2_e
    last_peak = tl.maximum(tl.max(peak, 0), sink)
    shrink = tl.exp2(peak - last_peak)
    total = tl.sum(tl.load(total_ptr + at) * shrink, 0) + tl.exp2(sink - last_peak)
    partial = tl.load(partial_ptr + at[:, None] * HEAD_DIM + d[None, :])
    out = tl.sum(partial * shrink[:, None], 0) / total
    tl.store(out_ptr + row * HEAD_DIM + d, out.to(tl.float16))
