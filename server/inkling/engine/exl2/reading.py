"""Tensors of a checkpoint by what they are, checked. All lie on the CPU, mapped from the file."""

from torch import Tensor

from inkling.engine.exl2.format import OPTIONAL, REQUIRED, Exl2Matrix, parse
from inkling.engine.exl2.names import Linear, Vector
from inkling.engine.exl2.tensors import TensorFiles
from inkling.engine.mxfp4 import Mxfp4Matrix
from inkling.engine.mxfp4 import parse as parse_mxfp4


def read_vector(files: TensorFiles, vector: Vector) -> Tensor:
    """The tensor `[size]` as stored: fp16, bf16 or fp32.

    Raises CheckpointError when it is missing, of another type or shape, or not finite.
    """
    return files.read_plain(vector.name, (vector.size,))


def read_matrix(files: TensorFiles, linear: Linear) -> Exl2Matrix | Mxfp4Matrix | Tensor:
    """The matrix as EXL2, as MXFP4, or a plain one `[out, in]` as stored: fp16, bf16 or fp32.

    Raises CheckpointError as `read_vector` and the formats' `parse` do.
    """
    name = linear.name
    if f"{name}.blocks" in files:
        blocks, scales = files.read(f"{name}.blocks"), files.read(f"{name}.scales")
        return parse_mxfp4(name, blocks, scales, linear.in_features, linear.out_features)
    if f"{name}.q_weight" not in files:
        return files.read_plain(f"{name}.weight", (linear.out_features, linear.in_features))
    parts = {
        part: files.read(f"{name}.{part}")
        for part in (*REQUIRED, *OPTIONAL)
        if part in REQUIRED or f"{name}.{part}" in files
    }
    return parse(name, parts, linear.in_features, linear.out_features)
