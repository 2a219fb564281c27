"""Rows for the trainer: built by worker processes, kept on the device, drawn at random."""

import multiprocessing
import os
import random
import threading
import time
from multiprocessing.queues import Queue

import torch
from torch import Tensor

from inkling.tokenizer import Tokenizer
from training.config import RowShape
from training.documents import Document
from training.projects import Projects
from training.rows import Row, RowBuilder

ROWS_PER_TASK = 64
# Fresh rows are drawn from at least this many: those built together come from few folders.
SHUFFLED = 1536


class RowStream:
    """Each row is used once; while building lags behind, rows already used are drawn again."""

    def __init__(
        self,
        documents: list[Document],
        tokenizer: Tokenizer,
        projects: Projects,
        shape: RowShape,
        *,
        seed: int,
        num_workers: int,
        capacity: int,
        device: torch.device,
    ) -> None:
        context = multiprocessing.get_context("fork")
        self._queue: Queue[Row] = context.Queue(maxsize=4 * num_workers)
        self._workers = [
            context.Process(
                target=_build_rows,
                args=(
                    self._queue,
                    documents,
                    tokenizer,
                    projects,
                    shape,
                    seed + worker,
                    num_workers,
                ),
                daemon=True,
            )
            for worker in range(num_workers)
        ]
        for worker in self._workers:
            worker.start()
        self._rows = torch.empty(capacity, shape.row_len + 1, dtype=torch.int16, device=device)
        self._random = random.Random(seed)
        self._fresh: list[int] = []
        self.num_built = 0
        self.num_repeated = 0
        threading.Thread(target=self._receive, daemon=True).start()

    def wait(self, count: int) -> None:
        """Return once `count` rows are there."""
        while self.num_built < count:
            if not all(worker.is_alive() for worker in self._workers):
                raise RuntimeError("A process that builds rows died: its error is above.")
            time.sleep(0.1)

    def batch(self, count: int) -> Tensor:
        """`count` rows [count, row_len + 1], int16 as `rows` packs them."""
        fresh, drawn = self._fresh, self._random
        if len(fresh) >= min(SHUFFLED, self.num_built // 2):
            chosen = []
            for _ in range(count):
                at = drawn.randrange(len(fresh))
                chosen.append(fresh[at])
                fresh[at] = fresh[-1]
                fresh.pop()
        else:
            chosen = [drawn.randrange(self.num_built) for _ in range(count)]
            self.num_repeated += count
        return self._rows[torch.tensor(chosen, device=self._rows.device)]

    def close(self) -> None:
        for worker in self._workers:
            worker.terminate()

    def _receive(self) -> None:
        """Move rows to the device until it holds all it has room for."""
        while self.num_built < len(self._rows):
            rows = torch.from_numpy(self._queue.get().view("int16"))
            first, last = self.num_built, min(self.num_built + len(rows), len(self._rows))
            self._rows[first:last] = rows[: last - first].to(self._rows.device)
            self.num_built = last
            self._fresh += range(first, last)
        self.close()


def _build_rows(
    queue: "Queue[Row]",
    documents: list[Document],
    tokenizer: Tokenizer,
    projects: Projects,
    shape: RowShape,
    seed: int,
    step: int,
) -> None:
    os.nice(5)
    builder = RowBuilder(tokenizer, documents, projects, shape)
    while True:
        queue.put(builder.rows(seed, ROWS_PER_TASK))
        seed += step
