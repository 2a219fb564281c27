"""A language server that says what a test tells it to, when the test tells it to.

For what the real one cannot be made to do: answer late, in parts, with nonsense, or die at a moment.
Neovim starts a process that only passes bytes on; the server is in the test.
"""

import contextlib
import json
import queue
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.editors.neovim import Neovim

PUMP = """
import os, socket, sys, threading
server = socket.socket(socket.AF_UNIX)
server.connect(sys.argv[1])
def pass_on():
    while data := server.recv(65536):
        os.write(1, data)
    os._exit(7)
threading.Thread(target=pass_on, daemon=True).start()
while data := os.read(0, 65536):
    server.sendall(data)
"""
COMPLETION = "inkling/inlineCompletion"
Message = dict[str, Any]


class ScriptedServer:
    """One server for one client at a time; a restarted client finds it again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        path = folder / "server.sock"
        self.command = [sys.executable, "-c", PUMP, str(path)]
        self.capabilities: Message = {"textDocumentSync": 2, "inlineCompletionProvider": {}}
        self.initialize: Message = {}  # the parameters of the newest client's `initialize`
        self.received: list[Message] = []
        self._num_marks = 0
        self._new: queue.Queue[Message] = queue.Queue()
        self._connection: socket.socket | None = None
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.die()
        self._thread.join(10)

    def die(self) -> None:
        """End the connection, and with it the process that Neovim started."""
        if self._connection is not None:
            with contextlib.suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)

    def next(self, method: str, seconds: float = 20) -> Message:
        """The next message of a method; others are passed over."""
        while True:
            message = self._new.get(timeout=seconds)
            if message["method"] == method:
                return message

    def newest(self, line: int, character: int) -> Message:
        """The request for a completion at a position; earlier ones are passed over."""
        while True:
            request = self.next(COMPLETION)
            if request["params"]["position"] == {"line": line, "character": character}:
                return request

    def passed_over(self, method: str) -> list[Message]:
        """All messages of a method that came so far."""
        return [message for message in self.received if message["method"] == method]

    def answer(self, request: Message, *texts: str) -> None:
        """Answer a request for a completion with these texts, the first one's id being `id-1`."""
        self.respond(request, _items(request, texts))

    def stream(self, request: Message, *texts: str) -> None:
        """Say that this is what is written so far."""
        token = request["params"]["partialResultToken"]
        self.notify("$/progress", {"token": token, "value": _items(request, texts)})

    def respond(self, request: Message, result: Any) -> None:
        """Answer any request."""
        self._send({"id": request["id"], "result": result})

    def fail(self, request: Message) -> None:
        """Answer any request with an error."""
        self._send({"id": request["id"], "error": {"code": -32603, "message": "broken"}})

    def is_heard_by(self, neovim: Neovim) -> None:
        """Wait until the editor has handled all that was sent so far: it does so in order."""
        self._num_marks += 1
        mark = f"mark {self._num_marks}"
        report = {"state": "ready", "model": mark, "kind": "stub", "reason": ""}
        self.notify("inkling/didChangeStatus", report)
        neovim.wait_until(
            lambda: neovim.lua("require('inkling').statusline()") == f"Inkling: {mark}", mark
        )

    def notify(self, method: str, params: Any) -> None:
        """Send a notification."""
        self._send({"method": method, "params": params})

    def _send(self, message: Message) -> None:
        assert self._connection is not None
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self._connection.sendall(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))

    def _serve(self) -> None:
        while True:
            try:
                self._connection, _ = self._listener.accept()
            except OSError:
                return
            with (
                contextlib.suppress(OSError),
                self._connection,
                self._connection.makefile("rb") as stream,
            ):
                for message in _messages(stream):
                    self._take(message)

    def _take(self, message: Message) -> None:
        match message.get("method"):
            case "initialize":
                self.initialize = message["params"]
                self.respond(message, {"capabilities": self.capabilities})
            case "shutdown":
                self.respond(message, None)
            case "exit":
                self.die()
            case str():
                self.received.append(message)
                self._new.put(message)


def _messages(stream: Any) -> Iterator[Message]:
    while line := stream.readline():
        length = 0
        while line.strip():
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
            line = stream.readline()
        yield json.loads(stream.read(length))


def _items(request: Message, texts: tuple[str, ...]) -> Message:
    at = request["params"]["position"]
    return {
        "items": [
            {
                "insertText": text,
                "range": {"start": at, "end": at},
                "command": {
                    "title": "",
                    "command": "inkling.accepted",
                    "arguments": [f"id-{number}"],
                },
            }
            for number, text in enumerate(texts, 1)
        ]
    }
