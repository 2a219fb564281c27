"""GPTQ in plain torch, in the place of exllamav2's: the same interface, anywhere, slowly."""

import torch
from torch import Tensor

from inkling.engine.convert.gptq import Prepared, find_scales, scales_of
from inkling.engine.exl2.quantize import pack, pack_steps

DAMPING = 0.12  # of the Hessian's mean diagonal, as AdaptiveGPTQ has it


class TorchSolver:
    """A `convert.gptq.Solver`."""

    def prepare(self, hessian: Tensor) -> Prepared:
        return TorchPrepared(hessian)


class TorchPrepared:
    """Rows in the order of their inputs' size, and what an error in each means to those after it."""

    def __init__(self, hessian: Tensor) -> None:
        diagonal = hessian.diagonal()
        self.order = diagonal.argsort(descending=True)
        damped = hessian[self.order][:, self.order] + (
            DAMPING * diagonal.mean() * torch.eye(len(hessian), device=hessian.device)
        )
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(damped))
        self.upper = torch.linalg.cholesky(inverse, upper=True)

    def solve(self, weight: Tensor, bits: int, group_size: int) -> dict[str, Tensor]:
        num_rows = len(weight)
        left = weight[self.order]
        zero = 1 << (bits - 1)
        codes = torch.empty_like(left, dtype=torch.uint8)
        all_steps, maxima, table = [], [], []
        for start in range(0, num_rows, group_size):
            end = min(start + group_size, num_rows)
            steps, scale_max = find_scales(left[start:end], bits)
            scales = scales_of(steps, scale_max)
            errors = torch.empty_like(left[start:end])
            for row in range(start, end):
                rounded = (left[row] / scales).round().clamp(-zero, zero - 1)
                codes[row] = (rounded + zero).to(torch.uint8)
                value = (rounded.half() * scales.half()).float()
                errors[row - start] = (left[row] - value) / self.upper[row, row]
                left[row:end] -= torch.outer(self.upper[row, row:end], errors[row - start])
            left[end:] -= self.upper[start:end, end:].t() @ errors
            all_steps.append(steps)
            maxima.append(scale_max)
            table += [bits, start * bits // 32]
        return {
            "q_weight": pack(codes, bits),
            "q_scale": pack_steps(torch.stack(all_steps)),
            "q_scale_max": torch.stack(maxima),
            "q_groups": torch.tensor(table, dtype=torch.int16, device=weight.device),
            "q_invperm": self.order.argsort().int(),
        }


def weighted_error(error: Tensor, hessian: Tensor) -> float:
    """The mean squared error of the products with the inputs a Hessian is of, summed over columns."""
    return (error.double() * (hessian.double() @ error.double())).sum().item()
