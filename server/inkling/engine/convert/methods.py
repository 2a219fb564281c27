"""One matrix by one line of a recipe, and how far the result is from its source."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from inkling.engine import mxfp4
from inkling.engine.convert.from_mxfp4 import as_mxfp4, exact, structured
from inkling.engine.convert.recipe import How
from inkling.engine.exl2.dequant import dequantize
from inkling.engine.exl2.format import parse
from inkling.engine.exl2.quantize import quantize
from inkling.engine.exl2.slices import values_at_once
from inkling.engine.mxfp4 import BLOCK, Mxfp4Matrix
from inkling.errors import CheckpointError

Weight = Mxfp4Matrix | Tensor  # a plain one is [in, out]

# Columns of a plain matrix, and values of MXFP4 on a CPU, that are compared at a time.
_COLUMNS_AT_ONCE = 8192
_VALUES_AT_ONCE = 1 << 20


def apply(name: str, how: How, weight: Weight) -> tuple[dict[str, Tensor], int]:
    """The tensors that become of `weight`, by their last names; how many MXFP4 blocks are not exact.

    `name` is for messages. Not for "gptq", which needs more than the weight. A method that is made for
    MXFP4 takes a plain matrix of MXFP4's values too; of other values it falls back to "nearest", where
    no block counts as exact. Raises CheckpointError for values beyond fp16, and where "mxfp4" should
    keep what is none.
    """
    if how.method == "plain":
        return {"weight": to_half(name, values(weight).t())}, 0
    if how.method != "nearest":
        native = as_mxfp4(weight) if isinstance(weight, Tensor) else weight
        if how.method == "mxfp4":
            if native is None:
                raise CheckpointError(
                    f"{name} holds other values than MXFP4 has, so it cannot be kept as published:"
                    ' choose the recipe "balanced".'
                )
            return {"blocks": native.blocks, "scales": native.scales}, 0
        if native is not None and how.method == "exact":
            return exact(native)
        if native is not None and how.method == "structured":
            return structured(native, _exl2(how)[0]), 0
    plain = values(weight)
    is_inexact = how.method == "exact"
    return quantize(plain, *_exl2(how)), plain.numel() // BLOCK if is_inexact else 0


def to_device(weight: Weight, device: torch.device) -> Weight:
    """`weight` on `device`."""
    if isinstance(weight, Tensor):
        return weight.to(device)
    return Mxfp4Matrix(weight.blocks.to(device), weight.scales.to(device))


def values(weight: Weight) -> Tensor:
    """The matrix `[in, out]`: as stored, or fp32 of MXFP4."""
    return weight if isinstance(weight, Tensor) else mxfp4.dequantize(weight)


def to_half(name: str, tensor: Tensor) -> Tensor:
    """`tensor` in fp16.

    Raises CheckpointError for values beyond it.
    """
    half = tensor.half().contiguous()
    if not all(end.isfinite() for end in torch.aminmax(half)):
        raise CheckpointError(
            f"The tensor {name} holds values beyond fp16 (65504): it cannot be stored."
        )
    return half


def relative_error(tensors: Mapping[str, Tensor], weight: Weight) -> float:
    """Norm of what `tensors` (by their last names) hold less `weight`, over the norm of `weight`.

    What they hold is found by decoding them, as an engine does. 0 for a matrix of zeros that is kept.
    """
    if "blocks" in tensors:
        return 0.0
    if isinstance(weight, Mxfp4Matrix):
        parts = _of_mxfp4(tensors, weight)
    else:
        parts = _of_plain(tensors, weight)
    sums = torch.zeros(2, dtype=torch.float64)
    for got, want in parts:
        difference = got.float().sub_(want).square_().sum(dtype=torch.float64)
        sums += torch.stack((difference, want.square().sum(dtype=torch.float64))).cpu()
    differences, squares = sums.tolist()
    return float((differences / squares) ** 0.5) if squares else float(differences > 0)


def _of_mxfp4(
    tensors: Mapping[str, Tensor], weight: Mxfp4Matrix
) -> Iterator[tuple[Tensor, Tensor]]:
    """Some rows at a time, decoded and as they were: to decode MXFP4 whole takes ten times as long."""
    decoded = _decode(tensors, weight.in_features, weight.out_features)
    size = values_at_once(decoded.device, _VALUES_AT_ONCE)
    num_blocks = max(1, size // (BLOCK * weight.out_features))
    for first in range(0, weight.in_features // BLOCK, num_blocks):
        some = slice(first, first + num_blocks)
        part = Mxfp4Matrix(weight.blocks[:, some].contiguous(), weight.scales[:, some].contiguous())
        want = mxfp4.dequantize(part).contiguous()
        yield decoded[BLOCK * first : BLOCK * first + len(want)], want


def _of_plain(tensors: Mapping[str, Tensor], weight: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Some columns at a time: the head as a whole would take gigabytes."""
    num_rows, num_columns = weight.shape
    for start in range(0, num_columns, _COLUMNS_AT_ONCE):
        some = slice(start, min(start + _COLUMNS_AT_ONCE, num_columns))
        parts = {part: _columns(part, tensor, some) for part, tensor in tensors.items()}
        yield _decode(parts, num_rows, some.stop - some.start), weight[:, some].float()


def _decode(tensors: Mapping[str, Tensor], num_rows: int, num_columns: int) -> Tensor:
    """The matrix `[in, out]`."""
    if "weight" in tensors:
        return tensors["weight"].t()
    return dequantize(parse("what was written", tensors, num_rows, num_columns))


def _columns(part: str, tensor: Tensor, some: slice) -> Tensor:
    """Of one tensor what belongs to some columns of the matrix."""
    if part == "weight":
        return tensor[some]
    if part == "q_weight":
        return tensor[:, some]
    return tensor[:, some.start // 8 : some.stop // 8] if part == "q_scale" else tensor


def _exl2(how: How) -> tuple[int, int]:
    assert how.exl2 is not None, "checked by the recipe"
    return how.exl2
