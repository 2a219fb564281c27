"""The process that builds the index of a workspace and keeps it up to date.

    python -m inkling.workspace.indexer ROOT DATABASE

A process and not a thread: parsing holds Python's lock, and a key would wait for it. It yields to
everything else that runs, and ends when its stdin does, that is with its server, however that ends:
the database survives being left at any moment. Of several windows' indexers one works and the others
wait for it to end.
"""

import contextlib
import gc
import logging
import os
import sqlite3
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from inkling.workspace.lock import alone

log = logging.getLogger(__name__)

NICENESS = 10


def main(arguments: Sequence[str]) -> int:
    """Index until stdin ends. Returns the exit status, when the workspace is gone or on a fault."""
    root, database = map(Path, arguments)
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format="inkling index: %(message)s"
    )
    os.nice(NICENESS)
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    try:
        database.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with alone(database, wait=True):
            keep_up(root.resolve(), database)
    except (OSError, sqlite3.Error) as error:
        log.error("%s cannot be indexed into %s: %s", root, database, error)
        return 1
    return 0


def keep_up(root: Path, database: Path) -> None:
    """Index the workspace and follow its changes until it is gone.

    Raises OSError and sqlite3.Error when the database cannot be written.
    """
    # Imported late: an indexer that only waits for another one needs none of it.
    from inkling.workspace.database import connect_to_write, remove
    from inkling.workspace.store import IndexStore
    from inkling.workspace.updates import follow

    # What a file leaves behind has no cycles: looking for them costs a tenth of the time.
    gc.disable()
    while root.is_dir():
        with contextlib.closing(IndexStore(connect_to_write(database))) as store:
            try:
                follow(store, root)
            except sqlite3.OperationalError:
                raise  # a full disk: a new database would not fit either
            except sqlite3.DatabaseError as error:
                log.warning("the index is damaged and is built anew: %s", error)
                remove(database)
                time.sleep(1)


def _end_with_stdin() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
