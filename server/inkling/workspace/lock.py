"""Who may write an index: one process at a time. Imports little, since most indexers only wait."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def alone(database: Path, *, wait: bool) -> Iterator[None]:
    """Be the only indexer of a database; waits for the one there is to end.

    Raises OSError when the lock cannot be made; BlockingIOError where there is one and it shall not
    `wait`.
    """
    # The lock stays when its index is deleted: somebody may be about to wait for it.
    lock = database.with_suffix(".lock")
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)
