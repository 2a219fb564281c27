"""The editor's end of a real `inkling lsp`: documents, edits, and completions as they grow.

By hand, not with a client library: its own time must not count, and what is said is little.
"""

import asyncio
import contextlib
import json
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inkling.core import Usage
from inkling.errors import EngineUnavailable, InklingError

POLL_S = 0.1
# How long a server may take to end before it is killed.
GOODBYE_S = 5.0


class ServerDied(InklingError):
    """The server under test ended by itself."""


@dataclass(frozen=True)
class State:
    """What a request has brought so far; `after_ms` counts from when it was sent.

    `call` names the model call that wrote the text, and `from_cache` says that an earlier request
    made it. `is_final` marks the answer. An answer to a superseded request is no state.
    """

    text: str
    is_final: bool
    after_ms: float
    call: str
    from_cache: bool
    silence: str
    usage: Usage | None


class Editor:
    """One server and the documents open in it. Offsets are code points."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._num_requests = 0
        self._waiting: dict[int, asyncio.Queue[dict[str, Any] | None]] = {}
        self._texts: dict[str, tuple[str, int]] = {}  # text and version by URI
        self._reading = asyncio.create_task(self._read())

    def open(self, uri: str, language: str, text: str) -> None:
        self._texts[uri] = text, 0
        item = {"uri": uri, "languageId": language, "version": 0, "text": text}
        self._notify("textDocument/didOpen", {"textDocument": item})

    def type(self, uri: str, offset: int, typed: str) -> None:
        """Insert what was typed at `offset`."""
        text, version = self._texts[uri]
        self._texts[uri] = text[:offset] + typed + text[offset:], version + 1
        at = _position(text, offset)
        change = {"range": {"start": at, "end": at}, "text": typed}
        document = {"uri": uri, "version": version + 1}
        self._notify(
            "textDocument/didChange", {"textDocument": document, "contentChanges": [change]}
        )

    def close(self, uri: str) -> None:
        del self._texts[uri]
        self._notify("textDocument/didClose", {"textDocument": {"uri": uri}})

    async def complete(self, uri: str, offset: int) -> AsyncGenerator[State, None]:
        """The states of one completion. Whoever leaves early just stops listening: the next request
        of the document supersedes this one, as when a user types on."""
        started = time.perf_counter()
        params = {
            "textDocument": {"uri": uri},
            "position": _position(self._texts[uri][0], offset),
            "context": {"triggerKind": 2},
        }
        async with self._asked("inkling/inlineCompletion", params) as messages:
            while message := await messages.get():
                is_final = "method" not in message
                brought = message["result"] if is_final else message["params"]["value"]
                if brought is None:
                    return
                yield _state(brought, is_final, (time.perf_counter() - started) * 1000)
                if is_final:
                    return
            raise ServerDied("the server under test ended by itself: its last words stand above.")

    async def ready(self) -> str:
        """Wait for the model; what it is called. Raises EngineUnavailable."""
        while True:
            status = await self._request("inkling/status", {})
            if status["state"] == "error":
                raise EngineUnavailable(status["reason"])
            if status["state"] != "starting":
                return str(status["model"])
            await asyncio.sleep(POLL_S)

    async def start(self, root: Path, options: Mapping[str, Any]) -> None:
        """Shake hands: `root` is the workspace, `options` are settings."""
        workspace = {"uri": root.as_uri(), "name": root.name}
        capabilities = {"general": {"positionEncodings": ["utf-32"]}}
        await self._request(
            "initialize",
            {
                "processId": None,
                "rootUri": workspace["uri"],
                "workspaceFolders": [workspace],
                "capabilities": capabilities,
                "initializationOptions": dict(options),
            },
        )
        self._notify("initialized", {})

    async def quit(self) -> None:
        """Have the server end, by force if need be. The engine goes on."""
        try:
            async with asyncio.timeout(GOODBYE_S):
                await self._request("shutdown", None)
                self._notify("exit", None)
                await self._process.wait()
        except (TimeoutError, ServerDied, ConnectionError):
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        finally:
            await self._process.wait()
            await self._reading

    @contextlib.asynccontextmanager
    async def _asked(
        self, method: str, params: Any
    ) -> AsyncIterator[asyncio.Queue[dict[str, Any] | None]]:
        """A request's progress and its answer; None: the server has gone."""
        self._num_requests += 1
        number = self._num_requests
        messages = self._waiting[number] = asyncio.Queue()
        if self._reading.done():
            messages.put_nowait(None)
        if method == "inkling/inlineCompletion":
            params = {**params, "partialResultToken": number}
        self._send({"id": number, "method": method, "params": params})
        try:
            yield messages
        finally:
            del self._waiting[number]

    async def _request(self, method: str, params: Any) -> Any:
        async with self._asked(method, params) as messages:
            if message := await messages.get():
                return message["result"]
        raise ServerDied("the server under test ended by itself: its last words stand above.")

    def _notify(self, method: str, params: Any) -> None:
        self._send({"method": method, "params": params})

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))

    async def _read(self) -> None:
        """Hand each message to whom it is for, until the server closes its end."""
        try:
            with contextlib.suppress(asyncio.IncompleteReadError):
                while True:
                    self._pass_on(await self._message())
        finally:
            for messages in self._waiting.values():
                messages.put_nowait(None)

    async def _message(self) -> dict[str, Any]:
        stream = self._process.stdout
        assert stream is not None
        header = await stream.readuntil(b"\r\n\r\n")
        length = int(header.lower().partition(b"content-length:")[2].split()[0])
        message: dict[str, Any] = json.loads(await stream.readexactly(length))
        return message

    def _pass_on(self, message: dict[str, Any]) -> None:
        number = message.get("id")
        if message.get("method") == "$/progress":
            number = message["params"]["token"]
        elif "method" in message:
            if number is not None:  # the server asks us
                self._send({"id": number, "result": None})
            return
        if number in self._waiting:
            self._waiting[number].put_nowait(message)


@contextlib.asynccontextmanager
async def editor_of(root: Path, options: Mapping[str, Any]) -> AsyncIterator[Editor]:
    """An editor whose workspace is `root` and whose server has these settings beside the user's."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "inkling", "lsp"),
        stdin=PIPE,
        stdout=PIPE,
        start_new_session=True,  # Ctrl-C is for us: we end it
    )
    editor = Editor(process)
    try:
        await editor.start(root, options)
        yield editor
    finally:
        await editor.quit()


def _position(text: str, offset: int) -> dict[str, int]:
    """In UTF-32 units, as agreed."""
    line_start = text.rfind("\n", 0, offset) + 1
    return {"line": text.count("\n", 0, line_start), "character": offset - line_start}


def _state(brought: dict[str, Any], is_final: bool, after_ms: float) -> State:
    items, origin = brought["items"], brought["origin"]
    return State(
        text=items[0]["insertText"] if items else "",
        is_final=is_final,
        after_ms=after_ms,
        call=origin["call"],
        from_cache=origin["fromCache"],
        silence=origin["silence"],
        usage=Usage(**origin["usage"]) if "usage" in origin else None,
    )
