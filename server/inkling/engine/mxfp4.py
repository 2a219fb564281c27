"""MXFP4, the format in which gpt-oss's experts are published: 4 bits a value, a power of two a block.

    blocks  uint8 [out, in / 32, 16]    two values a byte, the first in the low nibble
    scales  uint8 [out, in / 32]        exponent + 127 of the 32 values of a block

A value is `E2M1[nibble] * 2**(scale - 127)` (OCP Microscaling Formats 1.0; the layout is that of the
published checkpoint, which transformers' `convert_moe_packed_tensors` reads too).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from inkling.errors import CheckpointError

BLOCK = 32  # values that share a scale
BIAS = 127
E2M1 = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, -0.0, -0.5, -1.0, -1.5, -2.0, -3.0, -4.0, -6.0)


@dataclass(frozen=True)
class Mxfp4Matrix:
    """One matrix `[in_features, out_features]` as published."""

    blocks: Tensor
    scales: Tensor

    @property
    def in_features(self) -> int:
        return self.scales.shape[1] * BLOCK

    @property
    def out_features(self) -> int:
        return self.scales.shape[0]


def parse(
    name: str, blocks: Tensor, scales: Tensor, in_features: int, out_features: int
) -> Mxfp4Matrix:
    """Check the tensors of matrix `name` against the format and its shape.

    Raises CheckpointError for a wrong shape or type, and for scale 255, which means NaN.
    """
    shape = out_features, in_features // BLOCK
    for part, tensor, expected in (("blocks", blocks, (*shape, 16)), ("scales", scales, shape)):
        if tensor.dtype != torch.uint8 or tuple(tensor.shape) != expected or in_features % BLOCK:
            raise CheckpointError(
                f"The {part} of {name} should be uint8 {list(expected)} but are"
                f" {str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}: take the"
                " config.json that belongs to this checkpoint."
            )
    if bool((scales == 255).any()):
        raise CheckpointError(
            f"The scales of {name} hold NaN (255): copy or download the checkpoint again."
        )
    return Mxfp4Matrix(blocks, scales)


def nibbles(matrix: Mxfp4Matrix) -> Tensor:
    """The values' codes, uint8 `[out, in]`, 0 to 15."""
    pairs = torch.stack((matrix.blocks & 15, matrix.blocks >> 4), -1)
    return pairs.view(matrix.out_features, matrix.in_features)


def dequantize(matrix: Mxfp4Matrix) -> Tensor:
    """The fp32 matrix `[in_features, out_features]`, exact, on the device of its tensors."""
    values = torch.tensor(E2M1, device=matrix.blocks.device)[nibbles(matrix).int()]
    # A scale is fp32's own exponent field, but that 0 there means a subnormal: 2**-127 is half of
    # the least normal number. No ldexp, for a GPU's pow promises no exact powers.
    scales = matrix.scales.int()
    powers = torch.where(scales == 0, 1 << 22, scales << 23).view(torch.float32)
    blocks = values.view(matrix.out_features, -1, BLOCK)
    return (blocks * powers[..., None]).view_as(values).t()
