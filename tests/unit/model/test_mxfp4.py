"""MXFP4 by its definition, and as transformers reads it."""

import pytest
import torch
from torch import Tensor

from inkling.engine import mxfp4
from inkling.engine.mxfp4 import BLOCK, Mxfp4Matrix
from inkling.errors import CheckpointError


def random_blocks(out_features: int, in_features: int, scales: range) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    shape = out_features, in_features // BLOCK
    blocks = torch.randint(0, 256, (*shape, 16), dtype=torch.uint8, generator=generator)
    drawn = torch.randint(scales.start, scales.stop, shape, generator=generator)
    return blocks, drawn.to(torch.uint8)


def bits(tensor: Tensor) -> Tensor:
    """So that -0 differs from 0."""
    return tensor.contiguous().view(torch.int32)


def test_every_code_with_every_scale_is_the_value_of_the_definition() -> None:
    """Also where fp32 is subnormal, and up to its end."""
    scales = torch.arange(253, dtype=torch.uint8)[:, None]
    low = torch.arange(16, dtype=torch.uint8)
    blocks = (low | (15 - low) << 4).expand(253, 1, 16)
    got = mxfp4.dequantize(Mxfp4Matrix(blocks, scales))
    magnitudes = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0]
    for scale in range(253):
        for place in range(32):
            code = place // 2 if place % 2 == 0 else 15 - place // 2
            sign = -1.0 if code & 8 else 1.0
            want = sign * magnitudes[code & 7] * 2.0 ** (scale - 127)
            assert got[place, scale].item() == want
            assert torch.signbit(got[place, scale]) == (code >= 8)


@pytest.mark.parametrize(("out_features", "in_features"), [(40, 64), (8, 2880)])
def test_the_matrix_is_that_of_transformers(out_features: int, in_features: int) -> None:
    from transformers.integrations.mxfp4 import convert_moe_packed_tensors

    blocks, scales = random_blocks(out_features, in_features, range(100, 140))
    matrix = mxfp4.parse("down", blocks, scales, in_features, out_features)
    want = convert_moe_packed_tensors(blocks[None], scales[None], dtype=torch.float32)[0]
    got = mxfp4.dequantize(matrix)
    assert got.shape == (in_features, out_features)
    assert torch.equal(bits(got), bits(want))


def test_codes_are_in_the_order_of_the_values() -> None:
    blocks = torch.arange(32, dtype=torch.uint8).view(1, 2, 16)
    codes = mxfp4.nibbles(Mxfp4Matrix(blocks, torch.zeros(1, 2, dtype=torch.uint8)))
    assert codes.shape == (1, 64)
    assert codes[0, :6].tolist() == [0, 0, 1, 0, 2, 0]
    assert codes[0, 32:38].tolist() == [0, 1, 1, 1, 2, 1]


def test_what_is_no_mxfp4_is_refused() -> None:
    blocks, scales = random_blocks(8, 64, range(255))
    nan = scales.clone()
    nan[3, 1] = 255
    for faulty_blocks, faulty_scales, message in (
        (
            blocks[:, :1],
            scales,
            r"blocks of down should be uint8 \[8, 2, 16\] but are uint8 \[8, 1",
        ),
        (blocks, scales[:4], r"scales of down should be uint8 \[8, 2\] but are uint8 \[4, 2\]"),
        (blocks.int(), scales, r"blocks of down should be .* but are int32"),
        (blocks, nan, r"scales of down hold NaN \(255\)"),
    ):
        with pytest.raises(CheckpointError, match=message):
            mxfp4.parse("down", faulty_blocks, faulty_scales, 64, 8)
    with pytest.raises(CheckpointError, match=r"blocks of down should be"):
        mxfp4.parse("down", blocks, scales, 80, 8)  # no multiple of a block
