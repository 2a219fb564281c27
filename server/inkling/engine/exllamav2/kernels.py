"""The functions of exllamav2 that are used, and how they are had."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from inkling.errors import NotInstalled


@dataclass(frozen=True)
class Kernels:
    """Functions of exllamav2 0.3. All work on the current stream of the tensors' GPU."""

    # The tensors of an EXL2 matrix by their names, and scratch space; returns a handle. It shuffles
    # q_weight and divides q_scale_max by 256, both in place, and keeps their addresses: once for each
    # tensor, and they must outlive the handle.
    make_q_matrix: Callable[[dict[str, Tensor], Tensor], int]
    free_q_matrix: Callable[[int], None]
    # x fp16 [rows, in], handle, out fp16 [rows, out], whether never to take cuBLAS:
    # out = bias + x @ matrix, added up in fp16 by atomics.
    gemm_half_q_half: Callable[[Tensor, int, Tensor, bool], None]
    # handle, out fp16 [in, out]: the matrix itself, input features in their own order.
    reconstruct: Callable[[int, Tensor], None]
    no_tensor: Tensor  # for an argument that is not given


def load_kernels() -> Kernels:
    """Import exllamav2, which builds its extension if it finds none: minutes.

    Raises NotInstalled, which says what to do, where it is missing or cannot be built.
    """
    num_threads = torch.get_num_threads()
    try:
        from exllamav2 import ext
    except ModuleNotFoundError as error:
        raise NotInstalled(
            f'{error.name} is not installed, which engine.backend "exllamav2" needs: pip install'
            ' exllamav2, or set engine.backend to "fused".'
        ) from error
    except Exception as error:  # a build fails in many ways
        raise NotInstalled(
            f"exllamav2 does not load ({str(error).partition(chr(10))[0]}): it builds itself with nvcc,"
            f" so install the CUDA toolkit {torch.version.cuda} and ninja, or set engine.backend to"
            ' "fused".'
        ) from error
    finally:
        torch.set_num_threads(num_threads)  # importing exllamav2 sets one for all of torch
    return Kernels(
        make_q_matrix=ext.make_q_matrix,
        free_q_matrix=ext.ext_c.free_q_matrix,
        gemm_half_q_half=ext.ext_c.gemm_half_q_half,
        reconstruct=ext.ext_c.reconstruct,
        no_tensor=ext.none_tensor,
    )
