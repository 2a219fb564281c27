"""RMSNorm, and the sum of what the experts add."""

import torch
import triton
import triton.language as tl
from torch import Tensor


def add_and_norm(x: Tensor, added: Tensor | None, weight: Tensor, eps: float) -> Tensor:
    """Add `added` fp32 `[tokens, n, hidden]`, summed over n, to x fp32 `[tokens, hidden]` in place.

    Returns the RMSNorm of the sum, fp16.
    """
    num_tokens, hidden = x.shape
    out = torch.empty((num_tokens, hidden), dtype=torch.float16, device=x.device)
    add_and_norm_kernel[(num_tokens,)](
        x,
        x if added is None else added,
        weight,
        out,
        eps,
        HIDDEN=hidden,
        NUM_ADDED=0 if added is None else added.shape[1],
        FEATURES=triton.next_power_of_2(hidden),
        num_warps=8,
    )
    return out


@triton.jit
def add_and_norm_kernel(
    x_ptr,
    added_ptr,
    weight_ptr,
    out_ptr,
    eps,
    HIDDEN: tl.constexpr,
    NUM_ADDED: tl.constexpr,
    FEATURES: tl.constexpr,
):
    """One token."""
    row = tl.program_id(0).to(tl.int64)
    feature = tl.arange(0, FEATURES)
    inside = feature < HIDDEN
    x = tl.load(x_ptr + row * HIDDEN + feature, mask=inside, other=0.0)
    if NUM_ADDED > 0:
        for i in tl.static_range(NUM_ADDED):
            at = (row * NUM_ADDED + i) * HIDDEN + feature
            x += tl.load(added_ptr + at, mask=inside, other=0.0)
        tl.store(x_ptr + row * HIDDEN + feature, x, mask=inside)
    factor = tl.rsqrt(tl.sum(x * x, 0) / HIDDEN + eps)
    weight = tl.load(weight_ptr + feature, mask=inside, other=0.0)
    tl.store(out_ptr + row * HIDDEN + feature, (x * factor * weight).to(tl.float16), mask=inside)
