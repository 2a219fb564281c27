"""Matrices whose products are taken in fp16, for activations in fp32: `model.weights.Matrix`."""

import weakref
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from inkling.engine.exl2.format import Exl2Matrix
from inkling.engine.exllamav2.kernels import Kernels

# exllamav2's kernel reads a matrix anew for every 4 rows; beyond as many rows as it takes itself
# before it turns to cuBLAS (config.h), dequantizing it first is faster.
MOST_KERNEL_ROWS = 32
# What attention and experts add to the residual stream may pass fp16's 65504. So inputs are made this
# much smaller and outputs larger again, in fp32; a power of two costs precision only below 1e-3.
SCALE = 16.0


class QuantizedMatrix:
    """An EXL2 matrix as exllamav2 multiplies it. Products differ from run to run in their last bits."""

    def __init__(self, kernels: Kernels, matrix: Exl2Matrix) -> None:
        """Take over the tensors of `matrix`, on their device: exllamav2 changes them in place.

        Groups must be in falling order of bits, as `is_sorted` tells.
        """
        self._kernels = kernels
        self._shape = matrix.in_features, matrix.out_features
        self._tensors = _tensors(matrix)
        self._handle = kernels.make_q_matrix(self._tensors, kernels.no_tensor)
        weakref.finalize(self, kernels.free_q_matrix, self._handle)

    def times(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """As `Matrix.times`."""
        narrow = _narrow(x)
        if len(x) > MOST_KERNEL_ROWS:
            return _wide(torch.mm(narrow, self._dense(x.device)), bias)
        product = narrow.new_empty(len(x), self._shape[1])
        self._kernels.gemm_half_q_half(narrow, self._handle, product, True)
        return _wide(product, bias)

    def _dense(self, device: torch.device) -> Tensor:
        weight = torch.empty(self._shape, dtype=torch.float16, device=device)
        self._kernels.reconstruct(self._handle, weight)
        return weight


@dataclass(frozen=True)
class HalfMatrix:
    """A matrix that the checkpoint leaves plain."""

    weight: Tensor  # fp16 [in, out]

    def times(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """As `Matrix.times`."""
        return _wide(torch.mm(_narrow(x), self.weight), bias)


@dataclass(frozen=True)
class SideBySide:
    """Matrices of one input as one with all their columns."""

    parts: Sequence[QuantizedMatrix | HalfMatrix]

    def times(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        """As `Matrix.times`."""
        joined = torch.cat([part.times(x) for part in self.parts], 1)
        return joined if bias is None else joined + bias


def is_sorted(matrix: Exl2Matrix) -> bool:
    """Whether the groups are in falling order of bits, as exllamav2 takes for granted."""
    bits = [group.bits for group in matrix.groups]
    return bits == sorted(bits, reverse=True)


def _tensors(matrix: Exl2Matrix) -> dict[str, Tensor]:
    """What `make_q_matrix` takes."""
    device = matrix.q_weight.device
    table = torch.tensor([(group.bits, group.first_word) for group in matrix.groups])
    tensors = {
        "q_weight": matrix.q_weight,
        "q_scale": matrix.q_scale,
        "q_scale_max": matrix.q_scale_max,
        "q_groups": table.flatten().to(device, torch.int16),  # keeps the low 16 bits
        # Of zeros: with a bias, the output is set in a launch of its own. Without one, the product's
        # first blocks clear it, and nothing but their early start keeps others from adding before.
        "bias": torch.zeros(matrix.out_features, dtype=torch.float16, device=device),
    }
    if matrix.q_invperm is not None:
        tensors["q_invperm"] = matrix.q_invperm.short()
        tensors["q_perm"] = matrix.q_invperm.argsort().short()
    return tensors


def _narrow(x: Tensor) -> Tensor:
    """fp16 and contiguous."""
    narrow = torch.empty(x.shape, dtype=torch.float16, device=x.device)
    return torch.mul(x, 1 / SCALE, out=narrow)


def _wide(product: Tensor, bias: Tensor | None) -> Tensor:
    """The fp32 output of a fp16 product with what `_narrow` returned."""
    if bias is None:
        return product.float() * SCALE
    return torch.add(bias, product, alpha=SCALE)
