"""Where the one engine of this machine is found, and how it is started. No torch, any thread.

The runtime folder (0700) holds the engine's socket, its address file and two locks. The engine holds
`engine.lock` as long as it lives: a killed engine's leftovers are recognised by its lock being free.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

from platformdirs import user_log_path

from inkling.config import EngineSettings
from inkling.errors import EngineUnavailable

# A unix socket's path may have about 108 bytes; longer folders are replaced by a short one.
MAX_SOCKET_PATH = 100
START_TIMEOUT_S = 120.0
POLL_S = 0.02


@dataclass(frozen=True)
class Address:
    """Where an engine listens: `socket` (a path) or `url`. `token` is asked for on TCP."""

    pid: int
    socket: str = ""
    url: str = ""
    token: str = ""

    @property
    def where(self) -> str:
        """Where that is, as users are told: "this machine", or the name of another."""
        host = urlsplit(self.url).hostname or ""
        is_here = bool(self.socket) or host in ("127.0.0.1", "::1", "localhost")
        return "this machine" if is_here else host


def runtime_folder() -> Path:
    """The folder of sockets and locks, made if need be, for its owner alone.

    `INKLING_RUNTIME_DIR`, or the session's runtime folder, or one under the temporary folder.
    Raises EngineUnavailable when there can be none, or somebody else has it: a socket there could
    be theirs.
    """
    session = os.environ.get("XDG_RUNTIME_DIR")
    chosen = os.environ.get("INKLING_RUNTIME_DIR") or (session and f"{session}/inkling")
    folder = Path(chosen or f"{tempfile.gettempdir()}/inkling-{os.getuid()}")
    if len(os.fsencode(folder / "engine.sock")) > MAX_SOCKET_PATH:
        digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
        folder = Path(tempfile.gettempdir()) / f"inkling-{os.getuid()}-{digest}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
    except OSError as error:
        raise EngineUnavailable(
            f"{folder} cannot be used ({error.strerror}): set INKLING_RUNTIME_DIR to a folder of yours."
        ) from error
    if status.st_uid != os.getuid() or status.st_mode & 0o022:
        raise EngineUnavailable(
            f"{folder} can be written by others: remove it, or set INKLING_RUNTIME_DIR to a folder "
            "of yours."
        )
    return folder


def log_file() -> Path:
    """Where an engine that a server started writes its log."""
    return user_log_path("inkling") / "engine.log"


def read_address() -> Address | None:
    """The address of the engine that runs now, None if none does."""
    with contextlib.suppress(OSError, ValueError, TypeError):
        address = Address(**json.loads((runtime_folder() / "engine.json").read_text()))
        os.kill(
            address.pid, 0
        )  # OSError: it was killed, and a new engine may hold the lock already
        if is_running():
            return address
    return None


def write_address(address: Address) -> None:
    """Publish an engine's address, readable by its owner alone."""
    file = runtime_folder() / "engine.json"
    draft = file.with_suffix(".new")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
        json.dump(asdict(address), stream)
    draft.replace(file)


def is_running() -> bool:
    """Whether an engine holds its lock."""
    with lock("engine.lock", is_shared=True) as is_free:
        return not is_free


@contextlib.contextmanager
def lock(name: str, *, is_shared: bool = False) -> Iterator[bool]:
    """Try for a lock file of the runtime folder, without waiting; the system frees it at exit.

    Who only looks takes it shared: several may look at once.
    """
    descriptor = os.open(runtime_folder() / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            kind = fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def start_engine(settings: EngineSettings) -> Address:
    """Start an engine and wait until it answers. Blocks: call it in a thread.

    Of several servers that call this at once one starts the engine and the others wait for it.
    Raises EngineUnavailable when it ends first or takes too long.
    """
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if address := read_address():
            return address
        with lock("start.lock") as is_ours:
            if is_ours:
                return _spawn(settings, deadline)
        time.sleep(POLL_S)
    raise EngineUnavailable(f"the engine is still starting; its log is {log_file()}.")


def _spawn(settings: EngineSettings, deadline: float) -> Address:
    log = log_file()
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.touch()
    except OSError as error:
        raise EngineUnavailable(f"cannot write {log}: {error.strerror}.") from error
    chosen = settings.model_dump(mode="json", exclude_none=True)
    environment = {f"INKLING_ENGINE__{name.upper()}": str(value) for name, value in chosen.items()}
    with log.open("ab") as stream:
        start = stream.tell()
        process = subprocess.Popen(
            # -P: a folder named inkling where it starts is not imported in our place
            [sys.executable, "-P", "-m", "inkling", "engine"],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            cwd=Path.home(),
            env={**os.environ, **environment},
            start_new_session=True,  # it outlives the server: other windows use it
        )
    # Whoever is a parent must take in its child's end, or it stays as a zombie.
    threading.Thread(target=process.wait, name="inkling-engine-wait", daemon=True).start()
    while time.monotonic() < deadline:
        if address := read_address():
            return address
        if process.poll() is not None:
            raise EngineUnavailable(_last_words(log, start))
        time.sleep(POLL_S)
    raise EngineUnavailable(f"the engine is still starting; its log is {log}.")


def _last_words(log: Path, start: int) -> str:
    """Why an engine ended: the last line it wrote."""
    with log.open("rb") as stream:
        stream.seek(start)
        lines = stream.read().decode("utf-8", errors="replace").strip().splitlines()
    reason = lines[-1].removeprefix("inkling: ") if lines else "it ended without a word"
    return f"the engine could not start: {reason} (log: {log})"
