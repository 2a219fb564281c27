"""Muon: momentum whose matrices are made orthogonal before they are applied (Jordan et al., 2024)."""

from collections import defaultdict
from collections.abc import Iterable

import torch
from torch import Tensor, nn

# Newton–Schulz polynomial that drives singular values towards 1 in five steps.
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_STEPS = 5
# Updates get the size Adam's have, so that one learning rate fits both.
_RMS = 0.2


def orthogonal(matrices: Tensor) -> Tensor:
    """Each matrix of [count, rows, columns] with its singular values near 1, in bf16 arithmetic."""
    a, b, c = _COEFFICIENTS
    x = matrices.bfloat16()
    is_tall = x.shape[1] > x.shape[2]
    if is_tall:
        x = x.mT
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(_STEPS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    result: Tensor = x.mT if is_tall else x
    return result.float()


class Muon:
    """For matrices, and for stacks of matrices (experts). Everything else belongs to AdamW."""

    def __init__(
        self, parameters: Iterable[nn.Parameter], momentum: float, weight_decay: float
    ) -> None:
        self._momentum, self._weight_decay = momentum, weight_decay
        self._by_shape: dict[tuple[int, ...], list[nn.Parameter]] = defaultdict(list)
        for parameter in parameters:
            self._by_shape[tuple(parameter.shape[-2:])].append(parameter)
        self.buffers = {
            shape: torch.cat([torch.zeros_like(p).view(-1, *shape) for p in group])
            for shape, group in self._by_shape.items()
        }
        self._orthogonal = orthogonal

    def compile(self) -> None:
        self._orthogonal = torch.compile(orthogonal, dynamic=False)

    @torch.no_grad()
    def step(self, lr: float, keep: Tensor) -> None:
        """One update; `keep` (0 or 1 on the device) turns a step with bad gradients into none."""
        for shape, group in self._by_shape.items():
            gradient = torch.cat([_gradient(p).view(-1, *shape) for p in group])
            gradient = torch.where(keep > 0, gradient, torch.zeros_like(gradient))
            buffer = self.buffers[shape]
            buffer.lerp_(gradient, 1 - self._momentum)
            update = self._orthogonal(gradient.lerp(buffer, self._momentum))
            scale = -lr * _RMS * max(shape) ** 0.5
            first = 0
            for parameter in group:
                last = first + parameter.numel() // (shape[0] * shape[1])
                parameter.mul_(1 - lr * self._weight_decay * keep)
                parameter.addcmul_(update[first:last].view_as(parameter), scale * keep)
                first = last


def _gradient(parameter: nn.Parameter) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad
