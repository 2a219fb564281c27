"""Products by exllamav2's functions are those of the dequantized matrix."""

import gc

import pytest
import torch
from torch import Tensor

from inkling.engine.exl2.dequant import dequantize
from inkling.engine.exl2.format import Exl2Matrix, parse
from inkling.engine.exllamav2.matrix import HalfMatrix, QuantizedMatrix, SideBySide, is_sorted
from tests.unit.exllamav2.double import Exllamav2Double
from tests.unit.model.exl2_oracle import random_matrix

ALL_WIDTHS = ((8, 32), (6, 64), (5, 32), (4, 96), (3, 32), (2, 32))
ROWS = 288
COLUMNS = 40


def matrix(*, is_permuted: bool = False, scale: float = 0.01) -> Exl2Matrix:
    tensors = random_matrix(ALL_WIDTHS, COLUMNS, seed=1, is_permuted=is_permuted)
    tensors["q_scale_max"] = tensors["q_scale_max"] * scale
    return parse("w", tensors, ROWS, COLUMNS)


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def error(got: Tensor, want: Tensor) -> float:
    assert got.dtype == torch.float32 and got.shape == want.shape
    return float((got - want).norm() / want.norm())


@pytest.mark.parametrize("is_permuted", [False, True], ids=["in order", "permuted"])
@pytest.mark.parametrize("rows", [1, 2, 32, 33, 100])
def test_products_are_those_of_the_dequantized_matrix(rows: int, is_permuted: bool) -> None:
    dense = dequantize(matrix(is_permuted=is_permuted)).float()
    double = Exllamav2Double()
    ours = QuantizedMatrix(double.kernels, matrix(is_permuted=is_permuted))
    x, bias = noise(rows, ROWS), noise(COLUMNS)
    assert error(ours.times(x), x @ dense) < 1e-3
    assert error(ours.times(x, bias), x @ dense + bias) < 1e-3
    # Few rows by its kernel, more by torch with the matrix it dequantizes.
    assert double.rows == 2 * ([rows] if rows <= 32 else [0])


@pytest.mark.parametrize("rows", [3, 40])
def test_sums_beyond_fp16_do_not_overflow(rows: int) -> None:
    x = noise(rows, ROWS) * 50
    want = x @ dequantize(matrix(scale=2.0)).float()
    assert want.abs().max() > 2 * 65504
    assert (
        error(QuantizedMatrix(Exllamav2Double().kernels, matrix(scale=2.0)).times(x), want) < 2e-3
    )
    dense = HalfMatrix(dequantize(matrix(scale=2.0)))
    assert error(dense.times(x), want) < 2e-3


def test_rows_of_a_larger_tensor_and_transposed_ones_are_taken() -> None:
    dense = dequantize(matrix()).float()
    ours = QuantizedMatrix(Exllamav2Double().kernels, matrix())
    wide = noise(5, 2 * ROWS)
    assert error(ours.times(wide[1:3, ROWS:]), wide[1:3, ROWS:] @ dense) < 1e-3
    tall = noise(ROWS, 4)
    assert error(ours.times(tall.t()), tall.t() @ dense) < 1e-3


def test_matrices_side_by_side() -> None:
    parts = [matrix(), matrix(is_permuted=True)]
    plain = noise(ROWS, 7).half()
    dense = torch.cat([*map(dequantize, parts), plain], 1).float()
    double = Exllamav2Double()
    joined = SideBySide(
        [*(QuantizedMatrix(double.kernels, part) for part in parts), HalfMatrix(plain)]
    )
    x, bias = noise(4, ROWS), noise(2 * COLUMNS + 7)
    assert error(joined.times(x), x @ dense) < 1e-3
    assert error(joined.times(x, bias), x @ dense + bias) < 1e-3


def test_a_matrix_that_is_gone_is_freed() -> None:
    double = Exllamav2Double()
    kept = QuantizedMatrix(double.kernels, matrix())
    gone = QuantizedMatrix(double.kernels, matrix())
    assert len(double.made) == 2
    del gone
    gc.collect()
    assert len(double.made) == 1
    kept.times(noise(1, ROWS))


def test_only_falling_widths_are_sorted() -> None:
    assert is_sorted(matrix())
    rising = random_matrix(ALL_WIDTHS[::-1], COLUMNS, seed=1, is_permuted=False)
    assert not is_sorted(parse("w", rising, ROWS, COLUMNS))
