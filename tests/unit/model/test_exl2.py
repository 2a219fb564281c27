"""EXL2 matrices: reading is exact, writing is as good as rounding allows, faults are named."""

from importlib import import_module

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from inkling.engine.exl2.dequant import dequantize, unpack
from inkling.engine.exl2.format import BIT_WIDTHS, parse
from inkling.engine.exl2.quantize import pack, quantize
from inkling.errors import CheckpointError
from tests.unit.model.exl2_oracle import dequantized, random_matrix

# The package exports a function by this module's name.
quantizing = import_module("inkling.engine.exl2.quantize")


def read(tensors: dict[str, Tensor], num_rows: int) -> Tensor:
    return dequantize(parse("m", tensors, num_rows, tensors["q_weight"].shape[1]))


def weights(num_rows: int, num_columns: int, seed: int = 0) -> Tensor:
    """Columns of different size, as trained matrices have."""
    generator = torch.Generator().manual_seed(seed)
    size = torch.exp(0.5 * torch.randn(1, num_columns, generator=generator))
    return 0.05 * torch.randn(num_rows, num_columns, generator=generator) * size


MIXTURES = {
    "all widths": [(8, 32), (6, 64), (5, 32), (4, 32), (3, 64), (2, 32)],
    "short last group": [(6, 128), (4, 128), (4, 32)],
    "one width, sizes apart": [(3, 32), (3, 64), (3, 128)],
    "few of many": [(5, 64), (5, 64), (2, 64), (2, 64), (2, 64), (2, 32)],
}


@pytest.mark.parametrize("is_permuted", [False, True], ids=["in order", "permuted"])
@pytest.mark.parametrize("groups", MIXTURES.values(), ids=MIXTURES.keys())
def test_reading_is_exact_for_mixed_groups(
    groups: list[tuple[int, int]], is_permuted: bool
) -> None:
    num_rows = sum(rows for _, rows in groups)
    tensors = random_matrix(groups, 8, seed=len(groups), is_permuted=is_permuted)
    assert torch.equal(read(tensors, num_rows), dequantized(tensors, num_rows))


@pytest.mark.parametrize("bits", BIT_WIDTHS)
@pytest.mark.parametrize("group_size", [32, 64, 128])
def test_reading_is_exact_for_every_width(bits: int, group_size: int) -> None:
    groups = [(bits, group_size), (bits, group_size), (bits, 32)]
    num_rows = 2 * group_size + 32
    tensors = random_matrix(groups, 16, seed=bits, is_permuted=True)
    assert torch.equal(read(tensors, num_rows), dequantized(tensors, num_rows))


def test_rows_beyond_int16_are_unsigned() -> None:
    """Group tables count words in 16 bits without a sign."""
    groups = [(8, 128)] * 1100
    num_rows = 128 * 1100
    tensors = random_matrix(groups, 8, seed=0, is_permuted=False)
    assert int(tensors["q_groups"][-1]) < 0
    last = {
        **{name: tensors[name][-1:] for name in ("q_scale", "q_scale_max")},
        "q_weight": tensors["q_weight"][-32:],
        "q_groups": torch.tensor([8, 0], dtype=torch.int16),
    }
    assert torch.equal(read(tensors, num_rows)[-128:], dequantized(last, 128))


@given(
    bits=st.sampled_from(BIT_WIDTHS),
    blocks=st.integers(1, 4),
    columns=st.integers(1, 9),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=60, deadline=None)
def test_unpack_undoes_pack(bits: int, blocks: int, columns: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    codes = torch.randint(0, 1 << bits, (32 * blocks, columns), generator=generator)
    words = pack(codes, bits)
    assert words.dtype == torch.int32 and words.shape == (bits * blocks, columns)
    assert torch.equal(unpack(words, bits).long(), codes)


@given(
    bits=st.sampled_from(BIT_WIDTHS),
    blocks=st.integers(1, 4),
    columns=st.integers(1, 9),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=60, deadline=None)
def test_pack_undoes_unpack(bits: int, blocks: int, columns: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    shape = (bits * blocks, columns)
    words = torch.randint(-(2**31), 2**31, shape, generator=generator, dtype=torch.int32)
    assert torch.equal(pack(unpack(words, bits), bits), words)


@pytest.mark.parametrize("bits", BIT_WIDTHS)
@pytest.mark.parametrize(("num_rows", "group_size"), [(96, 32), (160, 64), (224, 128), (32, 128)])
def test_quantized_weights_are_as_near_as_their_scales_allow(
    bits: int, num_rows: int, group_size: int
) -> None:
    """No value is off by more than half its own scale, but for the few that were clipped."""
    weight = weights(num_rows, 24)
    tensors = quantize(weight, bits, group_size)
    result = read(tensors, num_rows)
    assert torch.equal(result[:33, :8], dequantized(tensors, num_rows)[:33, :8])
    # One step of a column in a group is the least distance between its different values.
    ones = {**tensors, "q_weight": pack(torch.full((num_rows, 24), (1 << bits - 1) - 1), bits)}
    scales = -read(ones, num_rows).float()
    assert (scales > 0).all()
    rounding = result.float().abs() * 2**-11 + 1e-6  # of the product, in fp16
    error = (result.float() - weight).abs()
    lowest, highest = -(1 << bits - 1) * scales, ((1 << bits - 1) - 1) * scales
    is_inside = (weight >= lowest) & (weight <= highest)
    assert (error <= scales / 2 + rounding)[is_inside].all()
    nearest_end = torch.where(weight < 0, lowest, highest)
    assert ((result.float() - nearest_end).abs() <= rounding)[~is_inside].all()


@pytest.mark.parametrize("group_size", [32, 128])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
@pytest.mark.parametrize("num_columns", [24, 264])
def test_slices_and_layout_do_not_show(
    group_size: int, dtype: torch.dtype, num_columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same bits whether searched at once or in parts, from either layout of the weights."""
    weight = weights(224, num_columns).to(dtype)
    whole = quantize(weight, 5, group_size)
    for size in (1, group_size * 96):
        monkeypatch.setattr(quantizing, "_SEARCH_SIZE", size)
        for source in (weight, weight.t().contiguous().t()):
            parts = quantize(source, 5, group_size)
            assert all(torch.equal(parts[name], whole[name]) for name in whole)
            assert all(tensor.is_contiguous() for tensor in parts.values())


def test_columns_add_up_the_same_in_slices() -> None:
    """What the search rests on, for its choices not to depend on how a matrix was sliced."""
    step = quantizing._COLUMN_STEP
    x = torch.rand(2, 128, 20 * step + 8, generator=torch.Generator().manual_seed(0))
    parts = [part.contiguous().sum(1) for part in torch.split(x, 3 * step, -1)]
    assert torch.equal(torch.cat(parts, 1), x.sum(1))


def test_dequantizing_in_parts_does_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    groups = [(6, 64)] * 3 + [(5, 64)] * 2 + [(5, 32)]
    tensors = random_matrix(groups, 16, seed=0, is_permuted=True)
    whole = read(tensors, 352)
    monkeypatch.setattr("inkling.engine.exl2.dequant._AT_ONCE", 2 * 64 * 16)
    assert torch.equal(read(tensors, 352), whole)


@pytest.mark.parametrize("bits", [5, 6])
def test_codes_packed_in_pairs_are_packed_all_the_same(bits: int) -> None:
    generator = torch.Generator().manual_seed(0)
    codes = torch.randint(0, 1 << bits, (96, 8), generator=generator)
    pairs = (codes[::2] | (codes[1::2] << bits)).to(torch.int16)
    assert torch.equal(pack(pairs, 2 * bits), pack(codes.to(torch.uint8), bits))


def test_more_bits_are_nearer() -> None:
    """Relative errors of Gaussian weights, within what rounding to nearest gives."""
    weight = weights(256, 64)
    errors = {
        bits: float((read(quantize(weight, bits, 64), 256).float() - weight).norm() / weight.norm())
        for bits in BIT_WIDTHS
    }
    limits = {2: 0.5, 3: 0.25, 4: 0.125, 5: 0.065, 6: 0.034, 8: 0.009}
    assert all(errors[bits] < limits[bits] for bits in BIT_WIDTHS), errors


def test_search_beats_scales_that_only_reach() -> None:
    """At few bits, clipping the largest weights is worth it: the search must find that."""
    weight = weights(128, 64)
    error = (read(quantize(weight, 3, 128), 128).float() - weight).square().sum()
    reaching = weight.abs().amax(0) / 3.5
    plain = ((weight / reaching).round().clamp(-4, 3) * reaching - weight).square().sum()
    assert error < 0.9 * plain


def test_zeros_stay_zeros_and_tiny_weights_stay_finite() -> None:
    weight = torch.zeros(64, 16)
    assert torch.equal(read(quantize(weight, 4, 32), 64).float(), weight)
    tiny = read(quantize(weight + 1e-9, 4, 32), 64)
    assert tiny.isfinite().all() and tiny.abs().max() < 1e-6


@pytest.mark.parametrize(
    ("weight", "bits", "group_size", "message"),
    [
        (torch.ones(64, 8), 7, 32, "7 bits in groups of 32"),
        (torch.ones(64, 8), 4, 48, "4 bits in groups of 48"),
        (torch.ones(48, 8), 4, 32, "48 x 8: rows come in 32s"),
        (torch.ones(64, 9), 4, 32, "64 x 9: rows come in 32s and columns in 8s"),
        (torch.full((64, 8), torch.nan), 4, 32, "not finite"),
    ],
)
def test_what_cannot_be_quantized_is_refused(
    weight: Tensor, bits: int, group_size: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        quantize(weight, bits, group_size)


def broken(**changes: Tensor | None) -> dict[str, Tensor]:
    """A matrix 64 x 16 of two 4-bit groups, with some tensors replaced or (None) left out."""
    tensors: dict[str, Tensor | None] = {**quantize(weights(64, 16), 4, 32), **changes}
    return {name: tensor for name, tensor in tensors.items() if tensor is not None}


def table(*values: int) -> Tensor:
    return torch.tensor(values, dtype=torch.int16)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        (broken(q_scale=None), "lacks the tensor m.q_scale:"),
        (broken(q_groups=table(4, 0, 7, 4)), "m.q_groups asks for 7 bits: EXL2 has 2, 3, 4"),
        (broken(q_groups=table(4, 0, 4)), r"m.q_groups should be int16 pairs .* int16 \[3\]"),
        (broken(q_groups=table()), r"m.q_groups should be int16 pairs .* int16 \[0\]"),
        (broken(q_groups=torch.tensor([4, 0, 4, 4])), "m.q_groups should be int16 pairs"),
        (broken(q_groups=table(4, 0, 4, 6)), "m.q_groups does not fit m.q_weight .a group of 6"),
        (broken(q_groups=table(4, 0, 4, 8)), "m.q_groups does not fit .a group of 0|does not fit"),
        (broken(q_groups=table(4, 4, 4, 8)), "m.q_groups does not fit"),
        (broken(q_groups=table(4, 0, 2, 4)), "m.q_weight should hold 64 rows .* add up to 96"),
        (
            broken(q_weight=torch.zeros(8, 24, dtype=torch.int32)),
            r"int32 \[8, 16\] but is int32 \[8, 24\]",
        ),
        (
            broken(q_weight=torch.zeros(8, 16)),
            r"m.q_weight should be int32 \[8, 16\] but is float32",
        ),
        (
            broken(q_scale=torch.zeros(2, 3, dtype=torch.int32)),
            r"m.q_scale should be int32 \[2, 2\]",
        ),
        (broken(q_scale_max=torch.ones(3).half()), r"m.q_scale_max should be float16 \[2\]"),
        (broken(q_scale_max=torch.tensor([1, torch.nan]).half()), "m.q_scale_max holds NaN"),
        (broken(q_scale_max=torch.tensor([1, torch.inf]).half()), "m.q_scale_max holds NaN or inf"),
        (broken(q_invperm=torch.zeros(64, dtype=torch.int32)), "not a permutation of 64 rows"),
        (broken(q_invperm=torch.arange(32, dtype=torch.int32)), "not a permutation of 64 rows"),
    ],
)
def test_faults_are_named(tensors: dict[str, Tensor], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        parse("m", tensors, 64, 16)
