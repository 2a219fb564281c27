"""Read and parse many files in processes of their own, and hand back what the index keeps of them.

    python -m inkling.workspace.extractor ROOT      batches of files in, their entries out, pickled

Most of an index's cost is tree-sitter (6 MB/s for Python), which holds Python's lock while it parses:
only another process can use another core. It ends when its stdin does, that is with the indexer. A
parser that crashes takes its process along; then the file that did it is found and left out.
"""

import gc
import os
import pickle
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from queue import SimpleQueue
from typing import TypeAlias

from inkling.workspace.extract import read_entry
from inkling.workspace.facts import Entry, Stamp

# Paths relative to the workspace, each with its stamp.
Files: TypeAlias = Sequence[tuple[str, Stamp]]

# Each takes about 60 MB; more would leave a small machine little for everything else.
NUM_PROCESSES = min(2, os.cpu_count() or 1)
BATCH_FILES = 250


def entries_of(root: Path, files: Files) -> Iterator[list[Entry]]:
    """The entries of all files, in batches and in order. A few files are read right here."""
    batches = [files[start : start + BATCH_FILES] for start in range(0, len(files), BATCH_FILES)]
    if len(batches) < 2:
        yield from ([read_entry(root, *file) for file in batch] for batch in batches)
        return
    with ExitStack() as stack:
        idle: SimpleQueue[Extractor] = SimpleQueue()
        for _ in range(NUM_PROCESSES):
            idle.put(stack.enter_context(closing(Extractor(root))))

        def work(batch: Files) -> list[Entry]:
            extractor = idle.get()
            try:
                return extractor.entries(batch)
            finally:
                idle.put(extractor)

        threads = stack.enter_context(ThreadPoolExecutor(NUM_PROCESSES))
        pending: deque[Future[list[Entry]]] = deque()
        for batch in batches:
            if len(pending) > NUM_PROCESSES:  # no more in memory than keeps all of them busy
                yield pending.popleft().result()
            pending.append(threads.submit(work, batch))
        while pending:
            yield pending.popleft().result()


class Extractor:
    """One process that reads files. One caller at a time."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._process = self._start()

    def entries(self, files: Files) -> list[Entry]:
        """The entries of these files. One that crashes the process is left out of the index."""
        try:
            return self._ask(files)
        except (EOFError, OSError, pickle.UnpicklingError):
            self.close()
            self._process = self._start()
        if len(files) == 1:
            return [Entry(path, stamp, None) for path, stamp in files]
        half = len(files) // 2
        return self.entries(files[:half]) + self.entries(files[half:])

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "inkling.workspace.extractor", str(self._root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def _ask(self, files: Files) -> list[Entry]:
        assert self._process.stdin is not None and self._process.stdout is not None
        pickle.dump(files, self._process.stdin)
        self._process.stdin.flush()
        answer: list[Entry] = pickle.load(self._process.stdout)
        return answer


def main(root: Path) -> None:
    """Answer one batch after the other until stdin ends."""
    # What a file leaves behind has no cycles: looking for them costs a tenth of the time.
    gc.disable()
    while True:
        try:
            files: Files = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        pickle.dump([read_entry(root, *file) for file in files], sys.stdout.buffer)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
