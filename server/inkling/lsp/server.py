"""The process of `inkling lsp`: its streams, and the loop that reads messages."""

import asyncio
import functools
import gc
import logging
import os
import sys
import threading
from collections.abc import Awaitable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, BinaryIO

import attrs

if TYPE_CHECKING:
    from inkling.lsp.language_server import InklingServer, MakeCompleter

logger = logging.getLogger(__name__)


def run(make_completer: "MakeCompleter | None" = None) -> int:
    """Serve the editor at stdin and stdout until it says `exit` or goes away.

    Returns the exit status: 0 after an orderly shutdown, else 1.
    """
    stdout = take_stdout()
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
    # It warns of each late $/cancelRequest, and editors show stderr as errors.
    logging.getLogger("pygls").setLevel(logging.ERROR)
    # The imports make hundreds of classes that live for ever: collecting while they come costs a
    # tenth of the start-up time, and looking at them again later is in vain.
    gc.disable()
    import_message_types()
    from inkling.lsp.language_server import make_completer as make_real_completer
    from inkling.lsp.wiring import create_server

    gc.freeze()
    gc.enable()
    server = create_server(make_completer or make_real_completer)
    asyncio.run(serve(server, sys.stdin.buffer, stdout))
    return 0 if server.is_shut_down else 1


def import_message_types() -> None:
    """Import lsprotocol's 550 attrs classes without the parts that nothing here uses.

    For each class attrs would write and compile `__repr__` and `__eq__`, and make the class a second
    time for its slots: a third of this process's time to start. (And logs show no user's code.)
    """
    define = attrs.define
    attrs.define = functools.partial(define, repr=False, eq=False, slots=False)
    try:
        import lsprotocol.types  # noqa: F401
    finally:
        attrs.define = define


def take_stdout() -> BinaryIO:
    """The real stdout, for the protocol alone: whatever else prints gets stderr instead."""
    stdout = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return stdout


async def serve(server: "InklingServer", stdin: BinaryIO, stdout: BinaryIO) -> None:
    """Handle messages until `exit` or the end of `stdin`."""
    from pygls.io_ import StdoutWriter, run_async

    server.protocol.set_writer(StdoutWriter(stdout))
    try:
        await run_async(
            stop_event=threading.Event(),
            reader=MessageReader(stdin),
            protocol=server.protocol,
            error_handler=server.report_server_error,
        )
    except (BrokenPipeError, SystemExit):
        pass
    finally:
        await server.aclose()


class MessageReader:
    """Reads messages in a thread of its own, so that nothing else can keep it from reading."""

    def __init__(self, stdin: BinaryIO) -> None:
        self._stdin = stdin
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="inkling-stdin")

    def readline(self) -> Awaitable[bytes]:
        """One line of a message's header, b"" at the end."""
        return asyncio.get_running_loop().run_in_executor(self._thread, self._stdin.readline)

    def readexactly(self, num_bytes: int) -> Awaitable[bytes]:
        """A message's body. Bytes that are not UTF-8 become U+FFFD: dropping the whole message
        would lose an edit, and with it the agreement on every later position."""

        def read() -> bytes:
            body = self._stdin.read(num_bytes)
            try:
                body.decode()
            except UnicodeDecodeError:
                return body.decode(errors="replace").encode()
            return body

        return asyncio.get_running_loop().run_in_executor(self._thread, read)
