"""The layout in video memory holds exactly the values of the checkpoint."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from inkling.engine import mxfp4
from inkling.engine.exl2.dequant import dequantize as dequantize_exl2
from inkling.engine.exl2.format import Exl2Matrix, parse
from inkling.engine.exl2.quantize import quantize
from inkling.engine.gpu.codes import MXFP4, pack_blocks, pack_codes, unpack_codes
from inkling.engine.gpu.layout import (
    WIDTHS,
    can_pack,
    dequantize,
    join_scales,
    pack_exl2,
    pack_mxfp4,
    packed_nbytes,
    split_scales,
    stack,
    stored_bits,
)
from inkling.engine.mxfp4 import Mxfp4Matrix
from tests.unit.gpu.models import random_mxfp4


def exl2(
    rows: int, columns: int, bits: int, group: int = 32, *, seed: int = 0, permuted: bool = False
) -> Exl2Matrix:
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(rows, columns, generator=generator) * 0.05
    tensors = quantize(weight, bits, group)
    if permuted:
        order = torch.randperm(rows, generator=generator)
        tensors["q_invperm"] = order.to(torch.int32)
    return parse("w", tensors, rows, columns)


def mixed(parts: list[Exl2Matrix]) -> Exl2Matrix:
    """Groups of several widths in one matrix, as exllamav2's converter makes them."""
    tensors: dict[str, Tensor] = {
        "q_weight": torch.cat([part.q_weight for part in parts]),
        "q_scale": torch.cat([part.q_scale for part in parts]),
        "q_scale_max": torch.cat([part.q_scale_max for part in parts]),
    }
    table, word = [], 0
    for part in parts:
        for group in part.groups:
            table += [group.bits, word + group.first_word]
        word += len(part.q_weight)
    tensors["q_groups"] = torch.tensor(table, dtype=torch.int16)
    rows = sum(part.in_features for part in parts)
    return parse("w", tensors, rows, parts[0].out_features)


@pytest.mark.parametrize("permuted", [False, True])
@pytest.mark.parametrize("group", [32, 64, 128])
@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6, 8])
def test_values_are_exl2s(bits: int, group: int, permuted: bool) -> None:
    matrix = exl2(192, 40, bits, group, permuted=permuted)
    packed = pack_exl2([matrix], stored_bits(matrix))
    assert torch.equal(dequantize(packed), dequantize_exl2(matrix))


def test_groups_of_several_widths_are_stored_at_the_widest() -> None:
    matrix = mixed([exl2(32, 16, 5), exl2(64, 16, 4), exl2(64, 16, 3, 64, seed=1)])
    assert stored_bits(matrix) == 5
    for bits in (5, 6, 8):
        assert torch.equal(dequantize(pack_exl2([matrix], bits)), dequantize_exl2(matrix))


def test_side_by_side_is_one_matrix() -> None:
    parts = [exl2(64, 16, 6, seed=seed) for seed in range(3)]
    packed = pack_exl2(parts, 6)
    want = torch.cat([dequantize_exl2(part) for part in parts], 1)
    assert torch.equal(dequantize(packed), want)


def test_side_by_side_needs_one_permutation() -> None:
    with pytest.raises(ValueError, match="permutation"):
        pack_exl2([exl2(64, 16, 4), exl2(64, 16, 4, permuted=True)], 4)


def test_stacked_experts_keep_their_own_permutation() -> None:
    experts = [exl2(64, 16, 5, seed=1), exl2(64, 16, 5, seed=2, permuted=True)]
    packed = stack([pack_exl2([matrix], 5) for matrix in experts])
    want = torch.stack([dequantize_exl2(matrix) for matrix in experts])
    assert torch.equal(dequantize(packed), want)


def test_values_are_mxfp4s() -> None:
    """Every nibble under every exponent there can be, the smallest subnormal in fp32 among them."""
    exponents = torch.arange(129, dtype=torch.uint8).repeat(8, 1)
    pairs = torch.arange(256, dtype=torch.uint8).view(16, 16)
    blocks = pairs[torch.randint(0, 16, (8, 129), generator=torch.Generator().manual_seed(0))]
    matrix = mxfp4.parse("w", blocks, exponents, 129 * 32, 8)
    assert can_pack(matrix)
    assert torch.equal(dequantize(pack_mxfp4([matrix])), mxfp4.dequantize(matrix))


def test_mxfp4_side_by_side_and_stacked() -> None:
    generator = torch.Generator().manual_seed(0)
    parts = [random_mxfp4(96, columns, generator) for columns in (16, 40, 16)]
    wide = pack_mxfp4(parts)
    want = torch.cat([mxfp4.dequantize(part) for part in parts], 1)
    assert torch.equal(dequantize(wide), want)
    experts = stack([pack_mxfp4([part]) for part in (parts[0], parts[2])])
    want = torch.stack([mxfp4.dequantize(part) for part in (parts[0], parts[2])])
    assert torch.equal(dequantize(experts), want)
    assert wide.nbytes == packed_nbytes(MXFP4, 96, 72) == 96 * 72 * 17 // 32


def test_mxfp4_that_the_kernels_could_not_scale_is_not_packed() -> None:
    matrix = random_mxfp4(64, 16, torch.Generator().manual_seed(0))
    matrix.scales[3, 1] = 129
    assert not can_pack(matrix)
    assert not can_pack(Mxfp4Matrix(matrix.blocks[4:], matrix.scales[4:]))


@pytest.mark.parametrize("group", [32, 64])
def test_scales_of_exl2_are_its_own_words_and_halves(group: int) -> None:
    """What the kernels rely on: 8 bytes a tile and group, q_scale, q_scale_max / 256 and nothing."""
    matrix = exl2(128, 24, 5, group)
    scales = pack_exl2([matrix], 5).scales
    assert scales.shape == (3, 4, 8) and scales.dtype == torch.uint8
    steps, scale_max = split_scales(scales)
    for tile in range(3):
        for index in range(4):
            of_group = 32 * index // group
            word = int(matrix.q_scale[of_group, tile]) & 0xFFFFFFFF
            largest = matrix.q_scale_max[of_group] / 256
            first = word.to_bytes(4, "little")
            half = largest.numpy().astype("<f2").tobytes()
            assert bytes(scales[tile, index].tolist()) == first + half + bytes(2)
            assert steps[tile, index].tolist() == [word >> 4 * column & 15 for column in range(8)]
            assert scale_max[tile, index] == largest


@given(
    steps=st.lists(st.integers(0, 15), min_size=8, max_size=8),
    largest=st.floats(0, 1, width=16),
)
def test_any_scales_come_apart_as_they_were(steps: list[int], largest: float) -> None:
    pairs = zip(steps[::2], steps[1::2], strict=True)
    word = int.from_bytes(bytes(a | b << 4 for a, b in pairs), "little", signed=True)
    scales = join_scales(torch.tensor([word], dtype=torch.int32), torch.tensor([largest]))
    found, scale_max = split_scales(scales)
    assert (found.tolist(), scale_max.tolist()) == ([steps], [largest])


def test_scales_of_mxfp4_are_a_byte_a_column() -> None:
    matrix = random_mxfp4(96, 24, torch.Generator().manual_seed(0))
    scales = pack_mxfp4([matrix]).scales
    for tile in range(3):
        for group in range(3):
            columns = matrix.scales[8 * tile : 8 * tile + 8, group]
            assert scales[tile, group].tolist() == columns.tolist()


@pytest.mark.parametrize("bits", WIDTHS)
def test_bytes_are_as_computed(bits: int) -> None:
    packed = pack_exl2([exl2(96, 24, bits)], bits)
    # The codes, and 8 bytes for each 8 columns of 32 rows.
    assert packed.nbytes == packed_nbytes(bits, 96, 24) == 96 * 24 * (4 * bits + 1) // 32


@given(
    bits=st.sampled_from(WIDTHS),
    groups=st.integers(1, 3),
    tiles=st.integers(1, 3),
    seed=st.integers(0, 1 << 30),
)
def test_no_code_is_lost(bits: int, groups: int, tiles: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    shape = 32 * groups, 8 * tiles
    codes = torch.randint(0, 1 << bits, shape, dtype=torch.uint8, generator=generator)
    words, high = pack_codes(codes, bits)
    assert words.shape[-1] + high.shape[-1] == bits
    assert torch.equal(unpack_codes(words, high if high.shape[-1] else None, bits), codes)


def test_four_neighbours_of_mxfp4_are_rows_that_are_multiplied_together() -> None:
    """What the fused kernel relies on: nibble 4 p + b of word J is row 8 J + 2 b + p."""
    matrix = random_mxfp4(32, 8, torch.Generator().manual_seed(0))
    words, codes = pack_blocks(matrix.blocks).long(), mxfp4.nibbles(matrix)
    for column in range(8):
        for at in range(4):
            for pair in range(2):
                nibbles = words[0, 0, column, at] >> (16 * pair)
                got = [int(nibbles >> (4 * byte)) & 15 for byte in range(4)]
                assert got == codes[column, 8 * at + pair : 8 * at + pair + 8 : 2].tolist()


def test_one_shift_brings_the_high_bits_of_four_rows_above_their_nibbles() -> None:
    """What the kernels rely on: byte b of the masked words is the code of row 8 J + 2 b + p."""
    codes = torch.randint(0, 1 << 6, (32, 8), dtype=torch.uint8)
    words, high = (part.long() & 0xFFFFFFFF for part in pack_codes(codes, 6))
    for column in range(8):
        for at in range(4):
            for pair in range(2):
                low = (words[0, 0, column, at] >> (4 * pair)) & 0x0F0F0F0F
                shift = 4 - 2 * ((2 * at + pair) % 4)
                plane = high[0, 0, column, at // 2]
                moved = plane << shift if shift >= 0 else plane >> -shift
                four = low | (moved & 0x30303030)
                got = [int(four >> (8 * byte)) & 255 for byte in range(4)]
                assert got == codes[8 * at + pair : 8 * at + pair + 8 : 2, column].tolist()


def test_of_five_bits_most_words_need_one_mask() -> None:
    """What the kernels rely on: which bits of which words are the rows 8 J + 2 b + p."""
    codes = torch.randint(0, 1 << 5, (32, 8), dtype=torch.uint8)
    words, high = (part.long() & 0xFFFFFFFF for part in pack_codes(codes, 5))
    for column in range(8):
        word = [*words[0, 0, column].tolist(), int(high[0, 0, column, 0])]
        rows = [(part & 0x1F1F1F1F, 8 * at) for at, part in enumerate(word[:4])]
        rows += [
            (word[4] & 0x1F1F1F1F, 1),
            ((word[0] >> 5 & 0x07070707) | (word[1] >> 2 & 0x18181818), 9),
            ((word[2] >> 5 & 0x07070707) | (word[3] >> 2 & 0x18181818), 17),
            (
                (word[4] >> 5 & 0x07070707)
                | (word[1] >> 4 & 0x08080808)
                | (word[3] >> 3 & 0x10101010),
                25,
            ),
        ]
        for four, first in rows:
            got = [four >> (8 * byte) & 255 for byte in range(4)]
            assert got == codes[first : first + 8 : 2, column].tolist()
