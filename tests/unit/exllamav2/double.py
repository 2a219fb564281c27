"""exllamav2's functions by our own dequantizer, on any device. tests/gpu/witness.py compares them.

As strict as the real ones are, and about what those do not notice: tensors given twice, freed too
early, or in an order they do not know.
"""

import itertools
import weakref
from dataclasses import dataclass

import torch
from torch import Tensor

from inkling.engine.exl2.dequant import dequantize
from inkling.engine.exl2.format import parse
from inkling.engine.exllamav2.kernels import Kernels

NO_TENSOR = torch.empty((1, 1), device="meta")


@dataclass
class _Made:
    dense: Tensor  # fp16 [in, out]
    bias: Tensor  # fp16 [out]
    tensors: list[weakref.ref[Tensor]]


class Exllamav2Double:
    """`made` are the handles that are not freed; `rows` those of each product and, as 0, of each
    reconstruction."""

    def __init__(self) -> None:
        self.made: dict[int, _Made] = {}
        self.rows: list[int] = []
        self._handles = itertools.count(1)
        self._shuffled: list[weakref.ref[Tensor]] = []

    @property
    def kernels(self) -> Kernels:
        return Kernels(
            self.make_q_matrix,
            self.free_q_matrix,
            self.gemm_half_q_half,
            self.reconstruct,
            NO_TENSOR,
        )

    def make_q_matrix(self, tensors: dict[str, Tensor], temp_dq: Tensor) -> int:
        assert temp_dq.is_meta, "no scratch space"
        words = tensors["q_weight"]
        assert all(shuffled() is not words for shuffled in self._shuffled), "given twice"
        assert ("q_perm" in tensors) == ("q_invperm" in tensors)
        table = tensors["q_groups"].tolist()
        assert table[::2] == sorted(table[::2], reverse=True), "widths must fall"
        known = {"q_weight", "q_scale", "q_scale_max", "q_groups", "q_perm", "q_invperm", "bias"}
        assert tensors.keys() <= known
        assert all(tensor.is_contiguous() for tensor in tensors.values())
        stored = {part: tensors[part] for part in tensors if part not in ("q_perm", "q_invperm")}
        if "q_perm" in tensors:
            perm, invperm = tensors["q_perm"], tensors["q_invperm"]
            assert perm.dtype == invperm.dtype == torch.int16
            assert torch.equal(invperm.long()[perm.long()], torch.arange(len(perm)).to(perm.device))
            stored["q_invperm"] = perm.argsort().int()  # the kernels look at q_perm alone
        num_rows = sum(
            (end - first) * 32 // bits
            for bits, first, end in zip(
                table[::2], table[1::2], [*table[3::2], len(words)], strict=True
            )
        )
        dense = dequantize(parse("given", stored, num_rows, words.shape[1]))
        words.bitwise_not_()  # in the place of a shuffle
        tensors["q_scale_max"] *= 1 / 256
        self._shuffled.append(weakref.ref(words))
        handle = next(self._handles)
        self.made[handle] = _Made(
            dense, tensors["bias"].clone(), [weakref.ref(tensor) for tensor in tensors.values()]
        )
        return handle

    def free_q_matrix(self, handle: int) -> None:
        del self.made[handle]

    def gemm_half_q_half(self, x: Tensor, handle: int, out: Tensor, force_cuda: bool) -> None:
        made = self._living(handle)
        assert x.dtype == out.dtype == torch.float16 and x.is_contiguous() and out.is_contiguous()
        assert out.shape == (len(x), made.dense.shape[1])
        assert force_cuda, "cuBLAS would need scratch space"
        self.rows.append(len(x))
        out.copy_(made.bias.float() + x.float() @ made.dense.float())

    def reconstruct(self, handle: int, out: Tensor) -> None:
        made = self._living(handle)
        assert out.dtype == torch.float16 and out.is_contiguous() and out.shape == made.dense.shape
        self.rows.append(0)
        out.copy_(made.dense)

    def _living(self, handle: int) -> _Made:
        made = self.made[handle]
        assert all(tensor() is not None for tensor in made.tensors), "the tensors are gone"
        return made
