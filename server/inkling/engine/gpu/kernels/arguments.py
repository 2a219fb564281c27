"""A matrix as the arguments of a kernel."""

from torch import Tensor

from inkling.engine.gpu.layout import Matrix, Packed


def matrix_arguments(matrix: Matrix) -> tuple[tuple[Tensor, Tensor, Tensor], int, int]:
    """What `multiply` takes: pointers (words, high, scales), bits, columns.

    A plain matrix has 16 bits and stands in for all pointers; what is missing is never read.
    """
    if isinstance(matrix, Packed):
        high = matrix.words if matrix.high is None else matrix.high
        return (matrix.words, high, matrix.scales), matrix.bits, matrix.out_features
    weight = matrix.weight
    return (weight, weight, weight), 16, weight.shape[-1]
