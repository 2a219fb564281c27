"""The indexer's process, for its server: start, stop, start again."""

import logging
import subprocess
import sys
from pathlib import Path

log = logging.getLogger(__name__)

_STOP_TIMEOUT_S = 5.0


class IndexerProcess:
    """One indexer of one workspace. Not for several threads at once."""

    def __init__(self, root: Path, database: Path) -> None:
        """`database` is where the index of `root` is to lie: see `database.database_of`."""
        self._root = root
        self._database = database
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process that runs now, None if none does."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def start(self) -> None:
        """Start it, unless it runs. A start that fails is logged: Inkling works without an index."""
        if self.pid is not None:
            return
        self.stop()
        command = [sys.executable, "-P", "-m", "inkling.workspace.indexer"]
        try:
            self._process = subprocess.Popen(
                [*command, str(self._root.resolve()), str(self._database)],
                stdin=subprocess.PIPE,  # it ends when this end of the pipe is closed, by us or by our death
                stdout=subprocess.DEVNULL,
                cwd=Path.home(),
                start_new_session=True,  # Ctrl-C in a terminal is for the server
            )
        except OSError as error:
            log.warning("the workspace is not indexed: %s", error)

    def stop(self) -> None:
        """End it and wait for its end, some milliseconds. What is in the index stays."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
