"""Real processes under test: where they keep their sockets, and how they are ended."""

import contextlib
import json
import os
import signal
import time
from pathlib import Path


def engine_pid(runtime: Path) -> int | None:
    """The pid in an engine's address file, None while there is none."""
    try:
        return int(json.loads((runtime / "engine.json").read_text())["pid"])
    except (OSError, ValueError, KeyError):
        return None


def stop_engine(runtime: Path) -> None:
    """End the engine whose runtime folder this is, and wait until it is gone."""
    pid = engine_pid(runtime)
    if pid is None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
        for _ in range(100):
            os.kill(pid, 0)
            if _is_zombie(pid):
                return
            time.sleep(0.05)
        os.kill(pid, signal.SIGKILL)


def _is_zombie(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    return False
