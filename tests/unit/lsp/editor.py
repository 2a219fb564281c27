"""An editor at the other end of a server's streams, in the same process."""

import asyncio
import json
import os
from collections import defaultdict
from typing import Any

from inkling.lsp.server import serve
from inkling.lsp.wiring import create_server
from tests.unit.lsp.fake_completer import FakeCompleter

URI = "file:///w/src/a.py"


class Editor:
    """Speaks JSON-RPC with a server whose completer is a `FakeCompleter`."""

    def __init__(self) -> None:
        self.completers: list[FakeCompleter] = []
        self.answers: dict[int, asyncio.Future[Any]] = defaultdict(asyncio.Future)
        self.received: dict[str, list[Any]] = defaultdict(list)
        self.capabilities: dict[str, Any] = {}
        self.server = create_server(self._make_completer)
        self._num_requests = 0

    def _make_completer(self, *arguments: Any) -> FakeCompleter:
        self.completers.append(FakeCompleter(*arguments))
        return self.completers[-1]

    @property
    def completer(self) -> FakeCompleter:
        """The one completer the server made."""
        [completer] = self.completers
        return completer

    async def start(self, **initialize: Any) -> None:
        """Start the server, shake hands, and wait until its completer is there."""
        to_server, self._to_server = os.pipe()
        from_server, to_editor = os.pipe()
        stdin, stdout = os.fdopen(to_server, "rb"), os.fdopen(to_editor, "wb")
        self.serving = asyncio.create_task(serve(self.server, stdin, stdout))
        self._reader = asyncio.StreamReader()
        self._transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(self._reader), os.fdopen(from_server, "rb")
        )
        self._streams = (stdin, stdout)
        self._reading = asyncio.create_task(self._read())
        params = {"processId": None, "rootUri": None, "capabilities": {}, **initialize}
        self.capabilities = (await self.call("initialize", params))["capabilities"]
        self.notify("initialized", {})
        await self.until(lambda: bool(self.completers) and self.completer.is_warm)

    async def stop(self) -> None:
        """Close the pipe, as an editor that goes away does, and wait for the server's end."""
        if self._to_server >= 0:
            os.close(self._to_server)
            self._to_server = -1
        await self.serving
        for stream in self._streams:
            stream.close()
        await self._reading
        self._transport.close()

    def send_bytes(self, body: bytes) -> None:
        os.write(self._to_server, b"Content-Length: %d\r\n\r\n" % len(body) + body)

    def notify(self, method: str, params: Any) -> None:
        self.send_bytes(json.dumps({"jsonrpc": "2.0", "method": method, "params": params}).encode())

    def ask(self, method: str, params: Any) -> asyncio.Future[Any]:
        """Send a request; the future is its result, or raises RuntimeError(code, message)."""
        self._num_requests += 1
        body = {"jsonrpc": "2.0", "id": self._num_requests, "method": method, "params": params}
        self.send_bytes(json.dumps(body).encode())
        return self.answers[self._num_requests]

    async def call(self, method: str, params: Any) -> Any:
        return await asyncio.wait_for(self.ask(method, params), 10)

    def cancel_last(self) -> None:
        self.notify("$/cancelRequest", {"id": self._num_requests})

    def open(self, text: str, uri: str = URI, language: str = "python") -> None:
        item = {"uri": uri, "languageId": language, "version": 1, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": item})

    def insert(self, line: int, character: int, text: str, uri: str = URI) -> None:
        at = {"line": line, "character": character}
        change = {"range": {"start": at, "end": at}, "text": text}
        params = {"textDocument": {"uri": uri, "version": 2}, "contentChanges": [change]}
        self.notify("textDocument/didChange", params)

    def ask_at(self, line: int, character: int, *, uri: str = URI, **extra: Any) -> Any:
        """Ask for inline completion; with `partialResultToken`, for the streamed one."""
        params = {
            "textDocument": {"uri": uri},
            "position": {"line": line, "character": character},
            "context": {"triggerKind": 2},
            **extra,
        }
        is_streamed = "partialResultToken" in extra
        return self.ask(
            "inkling/inlineCompletion" if is_streamed else "textDocument/inlineCompletion", params
        )

    async def until(self, holds: Any) -> None:
        """Wait until `holds()`, which the server's work makes so."""
        async with asyncio.timeout(10):
            while not holds():
                await asyncio.sleep(0.002)

    async def _read(self) -> None:
        while header := await self._reader.readline():
            length = int(header.split(b":")[1]) if header.startswith(b"Content-Length") else 0
            if length:
                await self._reader.readuntil(b"\r\n\r\n")
                self._take(json.loads(await self._reader.readexactly(length)))

    def _take(self, message: dict[str, Any]) -> None:
        if "method" in message:
            self.received[message["method"]].append(message["params"])
        elif "error" in message:
            error = RuntimeError(message["error"]["code"], message["error"]["message"])
            self.answers[message["id"]].set_exception(error)
        else:
            self.answers[message["id"]].set_result(message["result"])
