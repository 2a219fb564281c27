"""Tensors of mapped files onto a device, several pieces at a time."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import fields, replace
from itertools import islice
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from inkling.engine.gpu.layout import Quantized

# Done and all bytes of the files.
Progress = Callable[[int, int], None]

PIECE = 8 << 20  # bytes
THREADS = 6
# Pieces that are read, or being read, and not yet on their way: as many as there are buffers.
PIECES_AHEAD = 16


class Uploads:
    """Copies tensors to `device` in order. Use as a context manager.

    What takes time is the CPU's part: looking at a mapped file fetches its pages, and a GPU copies at
    full speed only from page-locked memory. So threads copy pieces into page-locked buffers while
    earlier ones are on their way to the GPU.
    """

    def __init__(self, device: torch.device, total_bytes: int, progress: Progress | None) -> None:
        """`progress` is told after each tensor how many bytes of `total_bytes` were sent."""
        self._device = device
        self._total = total_bytes
        self._progress = progress
        self._done = 0
        self._threads = ThreadPoolExecutor(THREADS)
        self._buffers: SimpleQueue[_Buffer] = SimpleQueue()
        for _ in range(PIECES_AHEAD):
            self._buffers.put(_Buffer(device))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._threads.shutdown(cancel_futures=True)

    def tensors(self, tensors: Sequence[Tensor]) -> Iterator[Tensor]:
        """Copies on the device, in order. Take all of them before asking for others."""
        pieces = iter([piece for tensor in tensors for piece in _pieces(tensor)])
        # No more pieces than buffers, so that the first of them always gets one.
        ahead: deque[Future[_Buffer]] = deque(
            self._threads.submit(self._read, piece) for piece in islice(pieces, PIECES_AHEAD)
        )
        for tensor in tensors:
            copy = torch.empty_like(tensor, device=self._device)
            for piece in _pieces(copy):
                buffer = ahead.popleft().result()
                buffer.send(piece)
                self._buffers.put(buffer)
                ahead.extend(self._threads.submit(self._read, later) for later in islice(pieces, 1))
            self._done += copy.nbytes
            if self._progress is not None:
                self._progress(self._done, self._total)
            yield copy

    def matrices(self, matrices: Sequence[Quantized]) -> Iterator[Quantized]:
        """The same matrices on the device, in order. Take all of them before asking for others."""
        sent = self.tensors([part for matrix in matrices for part in _parts(matrix).values()])
        for matrix in matrices:
            names = _parts(matrix)
            parts: dict[str, Any] = dict(zip(names, islice(sent, len(names)), strict=True))
            yield replace(matrix, **parts)

    def _read(self, piece: Tensor) -> "_Buffer":
        buffer = self._buffers.get()
        buffer.fill(piece)
        return buffer


class _Buffer:
    """Memory for one piece; page-locked for a GPU."""

    def __init__(self, device: torch.device) -> None:
        is_cuda = device.type == "cuda"
        self._memory = torch.empty(PIECE, dtype=torch.uint8, pin_memory=is_cuda)
        self._is_sent = torch.cuda.Event() if is_cuda else None  # type: ignore[no-untyped-call]

    def fill(self, piece: Tensor) -> None:
        """Copy the piece once what was here before has left."""
        if self._is_sent is not None:
            self._is_sent.synchronize()
        # By numpy: torch would spread each copy over all cores, once for each of our threads.
        np.copyto(self._memory.numpy()[: len(piece)], piece.numpy())

    def send(self, piece: Tensor) -> None:
        """Copy to the device, without waiting for it."""
        piece.copy_(self._memory[: len(piece)], non_blocking=True)
        if self._is_sent is not None:
            self._is_sent.record()


def _pieces(tensor: Tensor) -> Sequence[Tensor]:
    """The bytes of a contiguous tensor, in uint8 tensors of at most PIECE."""
    return torch.split(tensor.view(-1).view(torch.uint8), PIECE)


def _parts(matrix: Quantized) -> dict[str, Tensor]:
    """The tensors of a matrix by their names."""
    values = {field.name: getattr(matrix, field.name) for field in fields(matrix)}
    return {name: value for name, value in values.items() if isinstance(value, Tensor)}
