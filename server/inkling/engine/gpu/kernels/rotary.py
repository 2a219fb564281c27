"""Rotary embeddings, and the append of new keys and values to their pages."""

from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor

from inkling.engine.model.paged_kv import LayerKV

_FP16_MAX: tl.constexpr = tl.constexpr(65504.0)
# Added to a small fp32 number it leaves no bits below 1: rounding half to even.
_ROUNDER: tl.constexpr = tl.constexpr(1.5 * 2**23)


@dataclass(frozen=True)
class Sequence:
    """Where a pass stands in its sequence. All on the device, so that a graph can replay it.

    The last tokens of a pass may be padding: of them nothing is stored.
    """

    start: Tensor  # int32 [1], positions before this pass
    num_rows: Tensor  # int32 [1], tokens of the pass that are no padding
    page_table: Tensor  # int32 [pages]
    cos: Tensor  # fp32 [tokens, head_dim / 2], with the factor of the embedding
    sin: Tensor


def rotate_and_append(qkv: Tensor, sequence: Sequence, kv: LayerKV, num_heads: int) -> Tensor:
    """Rotate queries and keys, and store keys and values of one layer in their pages.

    qkv fp32 `[tokens, (heads + 2 * kv_heads) * head_dim]`; kv in fp16 or 8 bits. Returns the queries
    fp16 `[tokens, heads, head_dim]`.
    """
    num_tokens = len(qkv)
    _, page_len, num_kv_heads, head_dim = kv.keys.shape
    queries = torch.empty((num_tokens, num_heads, head_dim), dtype=torch.float16, device=qkv.device)
    rotate_and_append_kernel[(num_tokens,)](
        qkv,
        sequence.cos,
        sequence.sin,
        sequence.start,
        sequence.num_rows,
        sequence.page_table,
        queries,
        kv.keys,
        kv.values,
        kv.key_scales,
        kv.value_scales,
        PAGE_LEN=page_len,
        HEADS=num_heads,
        KV_HEADS=num_kv_heads,
        HALF=head_dim // 2,
        QUERY_ROWS=triton.next_power_of_2(num_heads),
        KEY_ROWS=triton.next_power_of_2(num_kv_heads),
        KV_BITS=kv.bits,
    )
    return queries


@triton.jit
def rotate_and_append_kernel(
    qkv_ptr,
    cos_ptr,
    sin_ptr,
    start_ptr,
    num_rows_ptr,
    page_table_ptr,
    queries_ptr,
    keys_ptr,
    values_ptr,
    key_scales_ptr,
    value_scales_ptr,
    PAGE_LEN: tl.constexpr,
    HEADS: tl.constexpr,
    KV_HEADS: tl.constexpr,
    HALF: tl.constexpr,
    QUERY_ROWS: tl.constexpr,
    KEY_ROWS: tl.constexpr,
    KV_BITS: tl.constexpr,
):
    """One token. Dimension i of a head is rotated with i + HALF."""
    token = tl.program_id(0)
    i = tl.arange(0, HALF)
    cos = tl.load(cos_ptr + token * HALF + i)[None, :]
    sin = tl.load(sin_ptr + token * HALF + i)[None, :]
    qkv_ptr += token.to(tl.int64) * ((HEADS + 2 * KV_HEADS) * 2 * HALF)

    head = tl.arange(0, QUERY_ROWS)
    at = head[:, None] * (2 * HALF) + i[None, :]
    inside = (head < HEADS)[:, None] & (i >= 0)[None, :]
    first = tl.load(qkv_ptr + at, mask=inside, other=0.0)
    second = tl.load(qkv_ptr + at + HALF, mask=inside, other=0.0)
    out = queries_ptr + token.to(tl.int64) * (HEADS * 2 * HALF) + at
    tl.store(out, (first * cos - second * sin).to(tl.float16), mask=inside)
    tl.store(out + HALF, (second * cos + first * sin).to(tl.float16), mask=inside)

    if token >= tl.load(num_rows_ptr):
        return
    position = tl.load(start_ptr) + token
    page = tl.load(page_table_ptr + position // PAGE_LEN).to(tl.int64)
    slot = (page * PAGE_LEN + position % PAGE_LEN) * (KV_HEADS * 2 * HALF)
    head = tl.arange(0, KEY_ROWS)
    at = head[:, None] * (2 * HALF) + i[None, :]
    inside = (head < KV_HEADS)[:, None] & (i >= 0)[None, :]
    new_keys = qkv_ptr + HEADS * 2 * HALF + at
    first = tl.load(new_keys, mask=inside, other=0.0)
    second = tl.load(new_keys + HALF, mask=inside, other=0.0)
    out = keys_ptr + slot + at
    new_values = new_keys + KV_HEADS * 2 * HALF
    if KV_BITS == 8:
        row = slot // (2 * HALF) + head
        low, high = first * cos - second * sin, second * cos + first * sin
        _store_codes(out, key_scales_ptr + row, low, high, inside, head < KV_HEADS, HALF)
        low = tl.load(new_values, mask=inside, other=0.0)
        high = tl.load(new_values + HALF, mask=inside, other=0.0)
        out = values_ptr + slot + at
        _store_codes(out, value_scales_ptr + row, low, high, inside, head < KV_HEADS, HALF)
    else:
        tl.store(out, (first * cos - second * sin).to(tl.float16), mask=inside)
        tl.store(out + HALF, (second * cos + first * sin).to(tl.float16), mask=inside)
        out = values_ptr + slot + at
        tl.store(out, tl.load(new_values, mask=inside, other=0.0).to(tl.float16), mask=inside)
        second = tl.load(new_values + HALF, mask=inside, other=0.0)
        tl.store(out + HALF, second.to(tl.float16), mask=inside)


@triton.jit
def _store_codes(out, scales, low, high, inside, is_row, HALF: tl.constexpr):
    """Rows of two halves in 8 bits, by the operations of paged_kv.quantize_rows."""
    low = tl.minimum(tl.maximum(low, -_FP16_MAX), _FP16_MAX)
    high = tl.minimum(tl.maximum(high, -_FP16_MAX), _FP16_MAX)
    most = tl.maximum(tl.max(tl.abs(low), 1), tl.max(tl.abs(high), 1))
    scale = (most * (1 / 127)).to(tl.float16)
    tl.store(scales, scale, mask=is_row)
    step = tl.where(scale > 0, scale.to(tl.float32), 1.0)[:, None]
    tl.store(out, _codes(low, step), mask=inside)
    tl.store(out + HALF, _codes(high, step), mask=inside)


@triton.jit
def _codes(numbers, step):
    # Divided, not times a reciprocal: a product could be fused with the sum after it, and so round once.
    codes = tl.minimum(tl.maximum(tl.div_rn(numbers, step), -127.0), 127.0)
    return ((codes + _ROUNDER) - _ROUNDER).to(tl.int8)
