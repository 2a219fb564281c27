"""exllamav2's GPTQ as conversion uses it. Left out where exllamav2 is not installed."""

import importlib.util
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor

from inkling.engine.convert.calibration import Matrix, Parts, calibrate
from inkling.engine.convert.gptq import Exllamav2Solver, Prepared, Solver
from inkling.engine.convert.recipe import load_recipe
from inkling.engine.exl2.dequant import dequantize
from inkling.engine.exl2.format import parse
from inkling.engine.exl2.names import Linear, ModelNames, Vector, model_names
from inkling.engine.exl2.quantize import quantize
from inkling.engine.gpu import layout
from inkling.engine.gpu.synthetic import GPT_OSS_20B
from inkling.engine.model.config import GptOssConfig
from inkling.engine.mxfp4 import Mxfp4Matrix
from tests.gpu.report import Found, free
from tests.unit.convert.gptq_double import TorchSolver, weighted_error

CUDA = torch.device("cuda:0")
ROWS, COLUMNS, GROUP = 2880, 5760, 64
ONE_LAYER = replace(GPT_OSS_20B, num_layers=1, is_sliding=(False,), vocab_size=1024)
MOST_GIB = 10.0

_Result = TypeVar("_Result")


def checks() -> Iterator[Found]:
    """One matrix against plain torch and rounding, then one layer of gpt-oss-20b's shapes."""
    if importlib.util.find_spec("exllamav2") is None:
        yield Found("exllamav2's GPTQ", True, {"left out": "exllamav2 is not installed"})
        return
    solver = Exllamav2Solver()
    yield from _matrices(solver)
    free()
    yield _one_layer(solver)


def _matrices(solver: Solver) -> Iterator[Found]:
    generator = torch.Generator(CUDA).manual_seed(0)
    weight = torch.randn(ROWS, COLUMNS, device=CUDA, generator=generator) * 0.03
    hessian = _hessian(generator)
    theirs, first_s = _timed(lambda: solver.prepare(hessian))
    ours = TorchSolver().prepare(hessian)
    for bits in (3, 4, 5):
        yield _one_matrix(bits, weight, hessian, theirs, ours)
    other = theirs.solve(weight[:, :512].contiguous(), 5, 128)  # 2880 rows end in half a group
    is_same = torch.equal(other["q_invperm"], theirs.solve(weight, 4, 64)["q_invperm"])
    yield Found(
        "exllamav2's GPTQ: one permutation for all that share a Hessian",
        is_same and _is_read_as_by_exllamav2(other, 512),
        {"ms for the Hessian": round(1000 * first_s)},
    )


def _hessian(generator: torch.Generator) -> Tensor:
    """Of inputs that lie near a quarter of the directions, with features of very different size."""

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, device=CUDA, generator=generator)

    mixing = normal(ROWS // 4, ROWS)
    sizes = (0.8 * normal(ROWS)).exp()
    total = torch.zeros(ROWS, ROWS, device=CUDA)
    for _ in range(8):
        x = (
            normal(2048, ROWS // 4) @ mixing / (ROWS // 4) ** 0.5 + 0.3 * normal(2048, ROWS)
        ) * sizes
        total += x.t() @ x
    return total / (8 * 2048)


def _one_matrix(
    bits: int, weight: Tensor, hessian: Tensor, theirs: Prepared, ours: Prepared
) -> Found:
    parts, their_s = _timed(lambda: theirs.solve(weight, bits, GROUP))
    again = theirs.solve(weight, bits, GROUP)
    double, our_s = _timed(lambda: ours.solve(weight, bits, GROUP))
    size = weighted_error(weight, hessian)
    error, double_error, rounding = (
        (weighted_error(_values(some, COLUMNS) - weight, hessian) / size) ** 0.5
        for some in (parts, double, quantize(weight, bits, GROUP))
    )
    is_repeated = all(torch.equal(parts[part], again[part]) for part in parts)
    is_read = _is_read_as_by_exllamav2(parts, COLUMNS)
    return Found(
        f"exllamav2's GPTQ: {bits} bits, {ROWS} x {COLUMNS}",
        abs(error / double_error - 1) < 0.03 and error < 0.7 * rounding and is_repeated and is_read,
        {
            "error of the output": f"{error:.4f}",
            "plain torch's": f"{double_error:.4f}",
            "rounding's": f"{rounding:.4f}",
            "same bits twice": is_repeated,
            "read as by exllamav2": is_read,
            "ms": round(1000 * their_s),
            "ms in plain torch": round(1000 * our_s),
        },
    )


def _values(parts: Parts, num_columns: int) -> Tensor:
    return dequantize(parse("w", parts, ROWS, num_columns)).float()


def _is_read_as_by_exllamav2(parts: Parts, num_columns: int) -> bool:
    """`reconstruct`, our dequantizer and our GPU layout give the same bits."""
    from exllamav2.ext import exllamav2_ext, make_q_matrix, none_tensor

    matrix = parse("w", parts, ROWS, num_columns)
    # It shuffles q_weight in place and keeps no reference to the tensors: copies that live on.
    copies = {part: tensor.clone() for part, tensor in parts.items()}
    copies["q_perm"] = copies["q_invperm"].argsort().short()
    handle = make_q_matrix(copies, none_tensor)
    theirs = torch.empty(ROWS, num_columns, dtype=torch.float16, device=CUDA)
    exllamav2_ext.reconstruct(handle, theirs)
    torch.cuda.synchronize()
    exllamav2_ext.free_q_matrix(handle)
    values = dequantize(matrix)
    packed = layout.pack_exl2([matrix], layout.stored_bits(matrix))
    return torch.equal(theirs, values) and torch.equal(layout.dequantize(packed), values)


def _timed(work: Callable[[], _Result]) -> tuple[_Result, float]:
    torch.cuda.synchronize()
    start = time.monotonic()
    result = work()
    torch.cuda.synchronize()
    return result, time.monotonic() - start


@dataclass(frozen=True)
class _RandomSource:
    """Random weights of one layer, experts in MXFP4: the same for a name each time."""

    config: GptOssConfig
    names: ModelNames

    def matrix(self, linear: Linear) -> Matrix:
        generator = torch.Generator().manual_seed(zlib.crc32(linear.name.encode()))
        if ".experts." not in linear.name:
            shape = linear.out_features, linear.in_features
            size = 1.0 if linear == self.names.embedding else 0.03
            return (torch.randn(shape, generator=generator) * size).bfloat16().t()
        shape = linear.out_features, linear.in_features // 32
        blocks = torch.randint(0, 256, (*shape, 16), generator=generator, dtype=torch.uint8)
        scales = torch.randint(119, 123, shape, generator=generator, dtype=torch.uint8)
        return Mxfp4Matrix(blocks, scales)

    def vector(self, vector: Vector) -> Tensor:
        generator = torch.Generator().manual_seed(zlib.crc32(vector.name.encode()))
        noise = torch.randn(vector.size, generator=generator)
        return (1 + 0.3 * noise if "norm" in vector.name else 0.1 * noise).bfloat16()


def _one_layer(solver: Solver) -> Found:
    """Recipe `small`; then again with most of it there already, which must give the same bits."""
    source = _RandomSource(ONE_LAYER, model_names(ONE_LAYER))
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(0, ONE_LAYER.vocab_size, (16, 2048), generator=generator)

    def converted(there: dict[str, Parts]) -> dict[str, Parts]:
        steps = calibrate(
            source,
            load_recipe("small"),
            tokens,
            CUDA,
            solver,
            _refuse,
            lambda one: there.get(one.name),
        )
        return {
            linear.name: {part: tensor.cpu() for part, tensor in parts.items()}
            for linear, parts in steps
        }

    torch.cuda.reset_peak_memory_stats()
    whole, seconds = _timed(lambda: converted({}))
    gib = torch.cuda.max_memory_allocated() / 2**30
    layer = source.names.layers[0]
    left_out = {one.name for one in (layer.attention_out, *layer.gate_up[30:], *layer.down[::16])}
    rest, rest_s = _timed(
        lambda: converted({name: whole[name] for name in whole if name not in left_out})
    )
    is_same = rest.keys() == left_out and all(
        torch.equal(rest[name][part], whole[name][part]) for name in rest for part in whole[name]
    )
    return Found(
        "recipe small: one layer of gpt-oss-20b's shapes, 16 rows",
        is_same and gib < MOST_GIB,
        {
            "matrices": len(whole),
            "s": round(seconds, 1),
            "s with all but 5 there": round(rest_s, 1),
            "GiB at most": round(gib, 1),
            "same bits when resumed": is_same,
        },
    )


def _refuse(linear: Linear, _: Matrix) -> Parts:
    raise AssertionError(f"{linear.name} is not calibrated")
