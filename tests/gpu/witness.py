"""exllamav2's own kernels as a second witness of the format. Left out where it is not installed."""

import importlib.util
from collections.abc import Iterator

import torch
from torch import Tensor

from inkling.engine.exl2.format import parse
from inkling.engine.exl2.quantize import quantize
from inkling.engine.exllamav2 import load_kernels
from inkling.engine.exllamav2.kernels import Kernels
from inkling.engine.gpu.kernels.dense import dense
from inkling.engine.gpu.layout import dequantize, pack_exl2, stored_bits
from tests.gpu.report import Found
from tests.unit.exllamav2.double import Exllamav2Double

CUDA = torch.device("cuda")
ROWS, COLUMNS = 2880, 640
# Of every width some, in falling order.
MIXED = ((8, 64), (6, 320), (5, 512), (4, 1024), (3, 640), (2, 320))


def checks() -> Iterator[Found]:
    """Every width: `reconstruct` is our values bit for bit, `gemm_half_q_half` our product, and the
    double that stands for both in tests on a CPU does what they do."""
    if importlib.util.find_spec("exllamav2") is None:
        yield Found("exllamav2 as a witness", True, {"left out": "exllamav2 is not installed"})
        return
    kernels = load_kernels()
    generator = torch.Generator(CUDA).manual_seed(0)
    widths: list[tuple[tuple[int, int], ...]] = [((bits, ROWS),) for bits in (2, 3, 4, 5, 6, 8)]
    for groups in (*widths, MIXED):
        for is_permuted in (False, True):
            weight = torch.randn(ROWS, COLUMNS, device=CUDA, generator=generator) * 0.02
            order = torch.arange(ROWS, device=CUDA)
            if is_permuted:
                order = torch.randperm(ROWS, device=CUDA, generator=generator)
            tensors = _quantize(weight, groups)
            tensors["q_invperm"] = order.int()
            name = f"{groups[0][0]} bits" if len(groups) == 1 else "all widths"
            x = torch.randn(4, ROWS, device=CUDA, generator=generator).half()
            yield _compare(f"{name}{', permuted' if is_permuted else ''}", tensors, x, kernels)


def _quantize(weight: Tensor, groups: tuple[tuple[int, int], ...]) -> dict[str, Tensor]:
    """`weight` with as many rows of each width as `groups` (bits, rows) say."""
    parts = []
    first_word = 0
    for rows, (bits, _) in zip(
        torch.split(weight, [rows for _, rows in groups]), groups, strict=True
    ):
        part = quantize(rows, bits, 32)
        part["q_groups"][1::2] += first_word
        first_word += len(part["q_weight"])
        parts.append(part)
    return {key: torch.cat([part[key] for part in parts]) for key in parts[0]}


def _compare(name: str, tensors: dict[str, Tensor], x: Tensor, kernels: Kernels) -> Found:
    matrix = parse("w", tensors, ROWS, COLUMNS)
    packed = pack_exl2([matrix], stored_bits(matrix))
    ours = dequantize(packed)
    bias = torch.linspace(-1, 1, COLUMNS, device=CUDA).half()
    given, doubled = (_given(tensors, bias) for _ in range(2))
    double = Exllamav2Double()
    theirs, product = _witness(kernels, given, x)
    doubles, doubles_product = _witness(double.kernels, doubled, x)
    want = bias.double() + x.double() @ ours.double()

    def error(got: Tensor) -> float:
        return float((got.double() - want).norm() / want.norm())

    # Codes of 8 bits already lie as its kernels want them.
    is_shuffled = not torch.equal(given["q_weight"], tensors["q_weight"])
    is_double = (
        torch.equal(theirs, doubles)
        and torch.equal(given["q_scale_max"], doubled["q_scale_max"])
        and is_shuffled == any(group.bits != 8 for group in matrix.groups)
        and error(doubles_product) < 1e-3
    )
    our_error = error(dense(x, packed).double() + bias.double())
    return Found(
        f"exllamav2: {name}",
        torch.equal(theirs, ours) and error(product) < 2e-2 and our_error < 1e-3 and is_double,
        {
            "reconstruct equal": torch.equal(theirs, ours),
            "error of its product": f"{error(product):.1e}",
            "of ours": f"{our_error:.1e}",
            "its double does the same": is_double,
        },
    )


def _given(tensors: dict[str, Tensor], bias: Tensor) -> dict[str, Tensor]:
    """What `make_q_matrix` takes: copies, for it shuffles q_weight in place."""
    copies = {key: value.clone() for key, value in tensors.items()}
    # Both as int16, since exllamav2 would make q_perm of another type.
    copies["q_perm"] = copies["q_invperm"].argsort().short()
    copies["q_invperm"] = copies["q_invperm"].short()
    return {**copies, "bias": bias}


def _witness(kernels: Kernels, given: dict[str, Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    """The matrix and its product with `x`."""
    handle = kernels.make_q_matrix(given, kernels.no_tensor)
    matrix = torch.empty(ROWS, COLUMNS, dtype=torch.float16, device=CUDA)
    kernels.reconstruct(handle, matrix)
    product = torch.full((len(x), COLUMNS), torch.nan, dtype=torch.float16, device=CUDA)
    kernels.gemm_half_q_half(x, handle, product, True)
    torch.cuda.synchronize()
    kernels.free_q_matrix(handle)
    return matrix, product
