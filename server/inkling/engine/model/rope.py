"""Rotary position embeddings: plain, or stretched by YaRN as transformers computes it."""

import math

import torch
from torch import Tensor

from inkling.engine.model.config import GptOssConfig


def inverse_frequencies(config: GptOssConfig) -> tuple[Tensor, float]:
    """Rotation per position of each pair of dimensions, and the factor on sine and cosine.

    Returns fp32 `[head_dim / 2]` on the CPU.
    """
    dim = config.head_dim
    inv_freq = 1.0 / config.rope_theta ** (torch.arange(0, dim, 2, dtype=torch.float32) / dim)
    yarn = config.yarn
    if yarn is None:
        return inv_freq, 1.0

    def dimension_of(num_rotations: float) -> float:
        """Where in the dimensions a wave makes this many turns over the original context."""
        turns = yarn.original_len / (num_rotations * 2 * math.pi)
        return dim * math.log(turns) / (2 * math.log(config.rope_theta))

    low, high = dimension_of(yarn.beta_fast), dimension_of(yarn.beta_slow)
    if yarn.truncate:
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, dim - 1)
    width = high - low or 0.001
    stretched = ((torch.arange(dim // 2, dtype=torch.float32) - low) / width).clamp(0, 1)
    inv_freq = inv_freq / yarn.factor * stretched + inv_freq * (1 - stretched)
    return inv_freq, yarn.attention_factor


def rotate(x: Tensor, cos: Tensor, signed_sin: Tensor) -> Tensor:
    """Rotate `x` `[..., head_dim]`, whose dimension i pairs with i + head_dim / 2.

    `cos` and `signed_sin` have `head_dim` entries: each half repeats the frequencies, and the
    first half of the sines is negated, so that one roll by half does for both halves.
    """
    return torch.addcmul(x * cos, x.roll(x.shape[-1] // 2, -1), signed_sin)
