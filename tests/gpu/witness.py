"""exllamav2's own kernels as a second witness of the format. Left out where it is not installed."""

import importlib.util
from collections.abc import Iterator

import torch

from inkling.engine.exl2.format import parse
from inkling.engine.exl2.quantize import quantize
from inkling.engine.gpu.kernels.dense import dense
from inkling.engine.gpu.layout import dequantize, pack_exl2, stored_bits
from tests.gpu.report import Found

CUDA = torch.device("cuda")
ROWS, COLUMNS = 2880, 640


def checks() -> Iterator[Found]:
    """Every width: `reconstruct` is our values bit for bit, `gemm_half_q_half` our product."""
    if importlib.util.find_spec("exllamav2") is None:
        yield Found("exllamav2 as a witness", True, {"left out": "exllamav2 is not installed"})
        return
    from exllamav2.ext import exllamav2_ext, make_q_matrix, none_tensor

    generator = torch.Generator(CUDA).manual_seed(0)
    for bits in (2, 3, 4, 5, 6, 8):
        for is_permuted in (False, True):
            weight = torch.randn(ROWS, COLUMNS, device=CUDA, generator=generator) * 0.02
            tensors = quantize(weight, bits, 32)
            order = torch.arange(ROWS, device=CUDA)
            if is_permuted:
                order = torch.randperm(ROWS, device=CUDA, generator=generator)
            tensors["q_invperm"] = order.int()
            # Given too, since exllamav2 would make one of another type.
            tensors["q_perm"] = order.argsort().short()
            matrix = parse("w", tensors, ROWS, COLUMNS)
            packed = pack_exl2([matrix], stored_bits(matrix))
            # It shuffles q_weight in place and keeps no reference to the tensors: a copy that lives on.
            copies = {key: value.clone() for key, value in tensors.items()}
            handle = make_q_matrix(copies, none_tensor)
            theirs = torch.empty(ROWS, COLUMNS, dtype=torch.float16, device=CUDA)
            exllamav2_ext.reconstruct(handle, theirs)
            ours = dequantize(packed)
            x = torch.randn(4, ROWS, device=CUDA, generator=generator).half()
            product = torch.empty(4, COLUMNS, dtype=torch.float16, device=CUDA)
            exllamav2_ext.gemm_half_q_half(x, handle, product, True)
            want = x.double() @ ours.double()
            their_error = ((product.double() - want).norm() / want.norm()).item()
            our_error = ((dense(x, packed).double() - want).norm() / want.norm()).item()
            yield Found(
                f"exllamav2: {bits} bits{', permuted' if is_permuted else ''}",
                torch.equal(theirs, ours) and their_error < 2e-2 and our_error < 1e-3,
                {
                    "reconstruct equal": torch.equal(theirs, ours),
                    "error of its product": f"{their_error:.1e}",
                    "of ours": f"{our_error:.1e}",
                },
            )
