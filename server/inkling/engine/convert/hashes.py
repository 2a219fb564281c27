"""SHA-256 of large files."""

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock

_CHUNK = 1 << 24
_WORKERS = 2


def hash_files(paths: Sequence[Path], report: Callable[[float, float], None]) -> dict[str, str]:
    """Hex digest of each file by its name. `report` is told done and all bytes.

    Raises OSError for a file that cannot be read.
    """
    total = sum(path.stat().st_size for path in paths)
    done = 0
    lock = Lock()

    def digest(path: Path) -> str:
        nonlocal done
        whole = hashlib.sha256()
        with path.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                whole.update(chunk)
                with lock:
                    done += len(chunk)
                    report(done, total)
        return whole.hexdigest()

    with ThreadPoolExecutor(_WORKERS) as pool:
        return dict(zip((path.name for path in paths), pool.map(digest, paths), strict=True))
