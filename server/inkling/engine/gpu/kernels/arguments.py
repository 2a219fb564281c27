"""A matrix as the arguments of a kernel."""

from torch import Tensor

from inkling.engine.gpu.layout import Matrix, Packed


def matrix_arguments(matrix: Matrix) -> tuple[tuple[Tensor, Tensor, Tensor, Tensor], int, int]:
    """What `multiply` takes: pointers (words, high, steps, scale_max), bits, columns.

    A plain matrix has 16 bits and stands in for all pointers; what is missing is never read.
    """
    if isinstance(matrix, Packed):
        high = matrix.words if matrix.high is None else matrix.high
        scale_max = matrix.words if matrix.scale_max is None else matrix.scale_max
        pointers = (matrix.words, high, matrix.steps, scale_max)
        return pointers, matrix.bits, matrix.out_features
    weight = matrix.weight
    return (weight, weight, weight, weight), 16, weight.shape[-1]
