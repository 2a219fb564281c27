"""Work on many matrices at a time."""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeVar

import torch

# One of an expert takes 0.6 GB at most, the head 2.3 GB.
_MOST = 4

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def in_parallel(work: Callable[[_Item], _Result], items: Iterable[_Item]) -> Iterator[_Result]:
    """The results of `work` on each item, as they are done. What one raises ends all."""
    num_threads = torch.get_num_threads()
    # A thread each is faster than all threads on each, and sums come out the same everywhere.
    torch.set_num_threads(1)
    pool = ThreadPoolExecutor(min(_MOST, os.cpu_count() or 1))
    try:
        for future in as_completed([pool.submit(work, item) for item in items]):
            yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(num_threads)
