"""How much of a matrix is worked on at a time."""

import torch

# On a GPU a slice costs its launches; 2**25 values in fp32 are 128 MiB.
_ON_GPU = 1 << 25


def values_at_once(device: torch.device, on_cpu: int) -> int:
    """Values of a slice: `on_cpu` is what suits a CPU's cache."""
    return on_cpu if device.type == "cpu" else _ON_GPU
