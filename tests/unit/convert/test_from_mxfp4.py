"""MXFP4 to EXL2: the same values where the format has them, near ones where bits are few."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from inkling.engine import mxfp4
from inkling.engine.convert.from_mxfp4 import as_mxfp4, exact, structured
from inkling.engine.exl2 import quantize
from inkling.engine.exl2.dequant import dequantize
from inkling.engine.exl2.format import parse
from inkling.engine.mxfp4 import BIAS, BLOCK, Mxfp4Matrix
from tests.unit.model.exl2_oracle import dequantized


def matrix(nibbles: Tensor, exponents: Tensor) -> Mxfp4Matrix:
    """Of nibbles uint8 `[in, out]` and exponents `[in / 32, out]`."""
    pairs = (nibbles[::2] | (nibbles[1::2] << 4)).t().contiguous()
    scales = (exponents + BIAS).to(torch.uint8).t().contiguous()
    return Mxfp4Matrix(pairs.view(*scales.shape, 16), scales)


def gaussian(num_rows: int, num_columns: int, spread: float) -> Mxfp4Matrix:
    """Gaussian weights, their columns' sizes log-normal by `spread`, rounded as MXFP4's standard says."""
    generator = torch.Generator().manual_seed(0)
    size = torch.exp(spread * torch.randn(1, num_columns, generator=generator))
    x = (0.02 * torch.randn(num_rows, num_columns, generator=generator) * size).view(
        -1, BLOCK, num_columns
    )
    exponents = x.abs().amax(1).log2().floor() - 2
    magnitudes = (x / torch.exp2(exponents)[:, None]).abs()
    nibbles = torch.bucketize(magnitudes, torch.tensor([0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0]))
    signed = nibbles + 8 * (x < 0)
    return matrix(signed.flatten(0, 1).to(torch.uint8), exponents)


def read(tensors: dict[str, Tensor], like: Mxfp4Matrix) -> Tensor:
    """The values in fp32; the tensors must be what the format asks for."""
    assert all(tensor.is_contiguous() for tensor in tensors.values())
    return dequantize(parse("m", tensors, like.in_features, like.out_features)).float()


def relative_error(tensors: dict[str, Tensor], weight: Mxfp4Matrix) -> float:
    source = mxfp4.dequantize(weight)
    return float((read(tensors, weight) - source).norm() / source.norm())


def blocks_that_differ(tensors: dict[str, Tensor], weight: Mxfp4Matrix) -> int:
    differs = read(tensors, weight) != mxfp4.dequantize(weight)
    return int(differs.view(-1, BLOCK, weight.out_features).any(1).sum())


@st.composite
def matrices(
    draw: st.DrawFn, lowest: int, highest: int, max_span: int | None = None
) -> Mxfp4Matrix:
    """Any nibbles, some blocks of zeros or of few magnitudes; exponents from lowest to highest."""
    groups, columns = draw(st.integers(1, 3)), 8 * draw(st.integers(1, 3))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32 - 1)))

    def integers(low: int, high: int, *shape: int) -> Tensor:
        return torch.randint(low, high, shape, generator=generator)

    nibbles = integers(0, 16, groups, BLOCK, columns)
    # Which magnitudes a block may have: all, none, or any set.
    kept = torch.where(integers(0, 3, groups, columns) == 0, integers(0, 256, groups, columns), 255)
    kept[integers(0, 6, groups, columns) == 0] = 0
    nibbles = torch.where((kept[:, None] >> (nibbles & 7)) & 1 == 1, nibbles, nibbles & 8)
    exponents = integers(lowest, highest + 1, groups, columns)
    if max_span is not None:
        first = integers(lowest, highest - max_span + 1, groups, 1)
        exponents = first + integers(0, max_span + 1, groups, columns)
    return matrix(nibbles.flatten(0, 1).to(torch.uint8), exponents)


@given(matrices(-23, 13, max_span=9))
@settings(max_examples=50, deadline=None)
def test_exact_is_exact_where_exponents_span_nine(weight: Mxfp4Matrix) -> None:
    """Between fp16's smallest value, half of 2**-23, and its largest of this form, 6 * 2**13."""
    tensors, num_inexact = exact(weight)
    assert num_inexact == 0
    assert torch.equal(read(tensors, weight), mxfp4.dequantize(weight))
    some = dequantized(tensors, weight.in_features)[:40, :8].float()
    assert torch.equal(some, mxfp4.dequantize(weight)[:40, :8])


@given(matrices(-BIAS, 126))
@settings(max_examples=50, deadline=None)
def test_exact_counts_the_blocks_it_changed(weight: Mxfp4Matrix) -> None:
    tensors, num_inexact = exact(weight)
    assert num_inexact == blocks_that_differ(tensors, weight)
    assert read(tensors, weight).isfinite().all()


@given(matrices(-14, 13))
@settings(max_examples=50, deadline=None)
def test_exact_is_near_where_exponents_span_more(weight: Mxfp4Matrix) -> None:
    """The largest blocks of a row stay; small ones are off by half of the least unit at most."""
    tensors, num_inexact = exact(weight)
    assert num_inexact == blocks_that_differ(tensors, weight)
    source = mxfp4.dequantize(weight).view(-1, BLOCK, weight.out_features)
    error = (read(tensors, weight).view_as(source) - source).abs().amax(1)
    largest = source.abs().amax(1)
    assert (error <= largest.amax(1, keepdim=True) * 2.0**-12).all()
    assert (error[largest >= largest.amax(1, keepdim=True) * 2.0**-8] == 0).all()


@pytest.mark.parametrize(
    ("magnitude", "exponent"),
    [
        (6, 13),  # 49152
        (0.5, 16),  # 32768: the exponent alone would be beyond fp16
        (0.5, -23),  # 2**-24
        (4, -26),  # 2**-24: so would this one
    ],
)
def test_exact_reaches_to_the_ends_of_fp16(magnitude: float, exponent: int) -> None:
    """As long as the row's other blocks are zeros, whatever their exponents."""
    nibbles = torch.zeros(BLOCK, 8, dtype=torch.uint8)
    nibbles[3, 2] = 8 + mxfp4.E2M1.index(magnitude)
    nibbles[7, 5] = 8  # -0.0
    exponents = torch.tensor([[-127, 127, exponent, 0, 9, -9, 127, -127]])
    weight = matrix(nibbles, exponents)
    tensors, num_inexact = exact(weight)
    assert num_inexact == 0
    assert read(tensors, weight)[3, 2] == -magnitude * 2.0**exponent
    assert read(tensors, weight).count_nonzero() == 1


def test_exact_uses_the_nibbles_a_block_leaves_unused() -> None:
    """A span of 14 fits where small blocks hold 4 and 6 and large ones 0.5 only."""
    nibbles = torch.full((BLOCK, 8), mxfp4.E2M1.index(0.5), dtype=torch.uint8)
    nibbles[:, 4:] = mxfp4.E2M1.index(4.0)
    exponents = torch.tensor([[0, 0, -1, -2, -14, -13, -12, -11]])
    weight = matrix(nibbles, exponents)
    tensors, num_inexact = exact(weight)
    assert num_inexact == 0 and blocks_that_differ(tensors, weight) == 0


def test_exact_keeps_the_large_block_of_a_row_that_does_not_fit() -> None:
    weight = matrix(
        torch.arange(BLOCK, dtype=torch.uint8)[:, None].expand(BLOCK, 8).contiguous() % 16,
        torch.tensor([[0, -10, -10, -10, -10, -10, -10, -10]]),
    )
    tensors, num_inexact = exact(weight)
    assert num_inexact == 7
    assert torch.equal(read(tensors, weight)[:, 0], mxfp4.dequantize(weight)[:, 0])


@pytest.mark.parametrize(("spread", "limit"), [(0.0, 0.0105), (0.3, 0.011), (1.0, 0.025)])
def test_structured_is_near(spread: float, limit: float) -> None:
    """And nearer than what knows only the values. (At 1.0, by the columns drawn, 0.019 to 0.031.)"""
    weight = gaussian(1440, 512, spread)
    error = relative_error(structured(weight, 5), weight)
    assert error < limit
    nearest = relative_error(quantize(mxfp4.dequantize(weight), 5, 32), weight)
    assert error < 0.75 * nearest


def test_structured_serves_a_few_large_columns_and_many_small() -> None:
    """Four powers of two apart, where the ladder of the largest column has no step near."""
    nibbles = gaussian(BLOCK, 512, 0.0)
    exponents = torch.zeros(1, 512, dtype=torch.int64)
    exponents[:, 1:] = -4
    weight = Mxfp4Matrix(nibbles.blocks, (exponents + BIAS).to(torch.uint8).t().contiguous())
    assert relative_error(structured(weight, 5), weight) < 0.01


@given(matrices(-BIAS, 126))
@settings(max_examples=50, deadline=None)
def test_structured_is_finite_and_keeps_zeros_and_signs(weight: Mxfp4Matrix) -> None:
    values, source = read(structured(weight, 5), weight), mxfp4.dequantize(weight)
    assert values.isfinite().all()
    assert (values * source.sign() >= 0).all()
    assert (values[source == 0] == 0).all()


@given(matrices(-BIAS, 13))
@settings(max_examples=50, deadline=None)
def test_structured_is_never_farther_than_zero(weight: Mxfp4Matrix) -> None:
    """However small a block is beside its row: zero is one of the codes. (Rounding in fp16 aside.)"""
    source = mxfp4.dequantize(weight)
    error = (read(structured(weight, 5), weight) - source).abs()
    assert (error <= source.abs() * (1 + 2.0**-10)).all()


def test_structured_does_not_care_how_a_large_block_is_written() -> None:
    """Column 0 is 4 * 2**-5 throughout: as 4, or as 0.5 and an exponent far above the others'."""
    weight = gaussian(32, 512, 0.3)
    scales = torch.cat((torch.tensor([[-5 + BIAS]], dtype=torch.uint8), weight.scales[1:]))
    results = []
    for value, more in ((4.0, 0), (0.5, 3)):
        nibble = mxfp4.E2M1.index(value)
        blocks = weight.blocks.clone()
        blocks[0] = nibble * 17
        written = scales.clone()
        written[0] += more
        results.append(read(structured(Mxfp4Matrix(blocks, written), 5), weight))
    assert torch.equal(results[0][:, 1:], results[1][:, 1:])


@pytest.mark.parametrize(
    ("exponent", "limit"), [(18, 0.011), (-3, 0.011), (-10, 0.03), (-14, 0.04)]
)
def test_structured_serves_large_and_small_weights(exponent: int, limit: float) -> None:
    """`exponent` comes on top of the weights' own, -9 to -5. Small scales are coarse in fp16."""
    weight = gaussian(96, 512, 0.3)
    scaled = Mxfp4Matrix(weight.blocks, (weight.scales.int() + exponent).to(torch.uint8))
    assert relative_error(structured(scaled, 5), scaled) < limit


def test_slices_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    weight = gaussian(160, 24, 0.5)
    whole = exact(weight)[0], structured(weight, 5), as_mxfp4(mxfp4.dequantize(weight))
    monkeypatch.setattr("inkling.engine.convert.from_mxfp4._AT_ONCE", 2 * BLOCK * 24)
    for name, tensor in exact(weight)[0].items():
        assert torch.equal(tensor, whole[0][name])
    for name, tensor in structured(weight, 5).items():
        assert torch.equal(tensor, whole[1][name])
    sliced = as_mxfp4(mxfp4.dequantize(weight))
    assert sliced is not None and whole[2] is not None
    assert torch.equal(sliced.blocks, whole[2].blocks)
    assert torch.equal(sliced.scales, whole[2].scales)


@pytest.mark.parametrize("bits", [4, 6, 8])
def test_structured_is_of_five_bits(bits: int) -> None:
    with pytest.raises(ValueError, match=f"{bits} bits: .* at 5 bits only"):
        structured(gaussian(32, 8, 0.0), bits)


@given(weight=matrices(-BIAS, 124), is_transposed=st.booleans())
@settings(max_examples=50, deadline=None)
def test_dequantized_weights_are_recovered_to_the_bit(
    weight: Mxfp4Matrix, is_transposed: bool
) -> None:
    """Through bf16, the type of dequantized checkpoints, whichever way the matrix lies."""
    plain = mxfp4.dequantize(weight).bfloat16()
    assert not plain.is_contiguous()
    recovered = as_mxfp4(plain if is_transposed else plain.contiguous())
    assert recovered is not None
    assert recovered.blocks.is_contiguous() and recovered.scales.is_contiguous()
    again = mxfp4.dequantize(recovered)
    assert torch.equal(again, plain.float()) and torch.equal(again.signbit(), plain.signbit())
    checked = mxfp4.parse("m", recovered.blocks, recovered.scales, *plain.shape)
    assert (checked.in_features, checked.out_features) == plain.shape


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_gaussian_mxfp4_is_recovered_as_it_was_written(dtype: torch.dtype) -> None:
    weight = gaussian(96, 16, 0.3)
    recovered = as_mxfp4(mxfp4.dequantize(weight).to(dtype))
    assert recovered is not None
    assert torch.equal(recovered.blocks, weight.blocks)
    assert torch.equal(recovered.scales, weight.scales)


@pytest.mark.parametrize(
    "value", [2.5, 5.0, 7.0, 0.25, 1.0078125, torch.inf, -torch.inf, torch.nan, 3e38]
)
def test_other_values_are_no_mxfp4(value: float) -> None:
    """One in the last block is enough: it has 6 as its largest, so 0.5 is its least."""
    plain = torch.zeros(96, 8)
    plain[70:90, 5] = 6.0
    assert as_mxfp4(plain) is not None
    plain[95, 5] = value
    assert as_mxfp4(plain) is None


def test_rows_that_are_no_blocks_are_no_mxfp4() -> None:
    assert as_mxfp4(torch.zeros(48, 8)) is None
