"""`inkling engine`: serve, or attach to the engine that runs already."""

import asyncio
import contextlib
import logging
import os
import secrets
import signal
import socket
import sys
import time
from pathlib import Path

from inkling.config import EngineSettings
from inkling.errors import EngineUnavailable, InklingError, NotInstalled
from inkling.runtime import (
    START_TIMEOUT_S,
    Address,
    is_running,
    lock,
    read_address,
    runtime_folder,
    write_address,
)

log = logging.getLogger(__name__)

ATTACH_POLL_S = 0.5
PROGRESS_S = 1.0
LOCK_POLL_S = 0.05
# Streams that still run when the engine is told to end.
GRACE_S = 1


class ListenError(InklingError):
    """The engine's socket or port cannot be had."""


def run(settings: EngineSettings) -> int:
    """Serve until idle, SIGTERM or Ctrl-C; or wait for the engine that runs already to end.

    Raises CheckpointError, NoGPU, TooLarge, ListenError and NotInstalled.
    """
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(name)s: %(message)s")
    logging.getLogger("inkling").setLevel(logging.INFO)
    # Two idle threads that spin on shared cores make each other 10 to 30 times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Without gaps between blocks of video memory: `balanced` takes 0.1 GiB less of a 16 GB card.
    os.environ.setdefault("PYTORCH_ALLOC_CONF", "expandable_segments:True")
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:  # who looks for an engine holds the lock for a moment
        with lock("engine.lock") as is_ours:
            if is_ours:
                return _serve(settings)
        if read_address() and _attach(settings):
            return 0
        time.sleep(LOCK_POLL_S)
    raise ListenError("another engine is there but does not answer: end it and try again.")


def _attach(settings: EngineSettings) -> bool:
    """Say which engine runs and stay until it ends. False if it does not answer yet."""
    from inkling.client import EngineClient

    async def ask() -> str:
        client = EngineClient(settings, spawn=False)
        try:
            model = await client.model()
            return f"pid {model.pid}: {model.description}"
        finally:
            await client.aclose()

    try:
        _say(f"attached to the engine of {asyncio.run(ask())}")
    except EngineUnavailable:
        return False
    while is_running():
        time.sleep(ATTACH_POLL_S)
    _say("that engine has ended")
    return True


def _serve(settings: EngineSettings) -> int:
    # uvicorn sends itself the signal that ended it once more; unhandled, that would end the process
    # with its socket and its address file still there.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    address_file = runtime_folder() / "engine.json"
    address_file.unlink(missing_ok=True)  # a killed engine's
    listener, address = _listen(settings)
    try:
        # Heavy imports only here: attaching, or a port in use, needs none of them.
        try:
            import uvicorn

            from inkling.engine.app import make_app
            from inkling.engine.pick import pick_model
            from inkling.engine.serving import Serving, make_serving
        except ModuleNotFoundError as error:
            raise NotInstalled(
                f'{error.name} is not installed: pip install "inkling-lsp[engine]" brings what the '
                "engine needs."
            ) from error

        serving = make_serving(pick_model(settings, _Loading()), settings)
        config = uvicorn.Config(
            make_app(serving, address.token),
            log_level="warning",
            lifespan="off",
            access_log=False,
            timeout_graceful_shutdown=GRACE_S,
        )
        server = uvicorn.Server(config)

        async def end_when_idle(serving: Serving) -> None:
            limit = settings.idle_minutes * 60
            while True:
                since = time.monotonic() - serving.last_request
                if not serving.num_running and since >= limit:
                    log.info("no request for %g minutes: ending", settings.idle_minutes)
                    server.should_exit = True
                    return
                await asyncio.sleep(min(1.0, limit / 4))

        async def serve() -> None:
            idle = asyncio.create_task(end_when_idle(serving))
            listener.listen()  # before the address is out: whoever reads it may connect
            write_address(address)
            _say(f"{serving.picked.description}, listening on {address.socket or address.url}")
            await server.serve(sockets=[listener])
            idle.cancel()

        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(serve())
        serving.scheduler.stop()
    finally:
        listener.close()
        address_file.unlink(missing_ok=True)
        if address.socket:
            Path(address.socket).unlink(missing_ok=True)
    return 0


def _listen(settings: EngineSettings) -> tuple[socket.socket, Address]:
    """Bind before loading: a port or socket in use must not cost a model's loading time first."""
    if settings.transport == "tcp":
        listener = socket.socket(socket.AF_INET)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", settings.port))
        except OSError as error:
            listener.close()
            raise ListenError(
                f"port {settings.port} is not free ({error.strerror}): choose another, or 0."
            ) from error
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        return listener, Address(os.getpid(), url=url, token=secrets.token_urlsafe(32))
    path = runtime_folder() / "engine.sock"
    _remove_stale(path)
    listener = socket.socket(socket.AF_UNIX)
    mask = os.umask(0o177)  # 0600 from the first moment
    try:
        listener.bind(str(path))
    except OSError as error:
        listener.close()
        raise ListenError(f"cannot listen on {path}: {error.strerror}.") from error
    finally:
        os.umask(mask)
    return listener, Address(os.getpid(), socket=str(path))


def _remove_stale(path: Path) -> None:
    """Take away what a killed engine left; we hold the lock, so no engine of ours listens there."""
    if not path.exists():
        return
    if not path.is_socket():
        raise ListenError(f"{path} is in the way and is no socket: remove it.")
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            path.unlink(missing_ok=True)
            return
    raise ListenError(f"another program listens on {path}: end it, or set INKLING_RUNTIME_DIR.")


class _Loading:
    """Says how far a model is loaded, once in PROGRESS_S."""

    def __init__(self) -> None:
        self._last: tuple[float, int] | None = None  # seconds and bytes; the first call starts it

    def __call__(self, done_bytes: int, total_bytes: int) -> None:
        now = time.monotonic()
        if self._last is not None:
            seconds = now - self._last[0]
            if seconds < PROGRESS_S:
                return
            speed = (done_bytes - self._last[1]) / seconds / 1e9
            _say(f"loading, {100 * done_bytes // total_bytes} % ({speed:.1f} GB/s)")
        self._last = now, done_bytes


def _say(text: str) -> None:
    sys.stderr.write(f"inkling engine: {text}\n")
    sys.stderr.flush()
