"""EXL2 as its definition reads, one value at a time: slow, and sharing nothing with our code."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor


def value_of(tensors: Mapping[str, Tensor], row: int, column: int) -> np.float16:
    """The value at a stored row (before `q_invperm`) and a column."""
    table = [int(value) % 65536 for value in tensors["q_groups"].tolist()]
    num_words = tensors["q_weight"].shape[0]
    first_row = 0
    for group in range(len(table) // 2):
        bits, first_word = table[2 * group : 2 * group + 2]
        end_word = table[2 * group + 3] if 2 * group + 3 < len(table) else num_words
        num_rows = (end_word - first_word) * 32 // bits
        if row < first_row + num_rows:
            break
        first_row += num_rows
    block, at = divmod(row - first_row, 32)
    words = tensors["q_weight"][first_word + block * bits :, column][:bits].tolist()
    stream = sum((word % 2**32) << (32 * i) for i, word in enumerate(words))
    code = (stream >> (at * bits)) % 2**bits
    packed = int(tensors["q_scale"][group, column // 8]) % 2**32
    step = (packed >> (4 * (column % 8))) % 16 + 1
    scale_max = np.float16(tensors["q_scale_max"][group].item())
    scale = np.float16(step * step) * (scale_max * np.float16(1 / 256))
    return np.float16(np.float16(code - 2 ** (bits - 1)) * scale)


def dequantized(tensors: Mapping[str, Tensor], num_rows: int) -> Tensor:
    """The whole fp16 matrix, input features in their own order."""
    num_columns = tensors["q_weight"].shape[1]
    stored = np.array(
        [[value_of(tensors, row, col) for col in range(num_columns)] for row in range(num_rows)]
    )
    if "q_invperm" in tensors:
        stored = stored[tensors["q_invperm"].numpy()]
    return torch.from_numpy(stored)


def random_matrix(
    groups: Sequence[tuple[int, int]], num_columns: int, seed: int, *, is_permuted: bool
) -> dict[str, Tensor]:
    """A valid matrix with random bits everywhere; `groups` are (bits, rows)."""
    generator = torch.Generator().manual_seed(seed)
    num_words = [bits * rows // 32 for bits, rows in groups]
    firsts = [sum(num_words[:i]) for i in range(len(groups))]
    num_rows = sum(rows for _, rows in groups)

    def words(*shape: int) -> Tensor:
        low, high = -(2**31), 2**31
        return torch.randint(low, high, shape, generator=generator, dtype=torch.int32)

    tensors = {
        "q_weight": words(sum(num_words), num_columns),
        "q_scale": words(len(groups), num_columns // 8),
        # Some so small that a scale is subnormal in fp16, where rounding is coarse.
        "q_scale_max": (10 ** (torch.rand(len(groups), generator=generator) * 4 - 3)).half(),
        "q_groups": torch.tensor(
            [[bits, first] for (bits, _), first in zip(groups, firsts, strict=True)]
        )
        .flatten()
        .to(torch.int16),  # the low 16 bits
    }
    if is_permuted:
        order = torch.randperm(num_rows, generator=generator)
        tensors["q_invperm"] = order.to(torch.int32)
    return tensors
