"""The server as an editor starts it: `python -m inkling lsp`, with the real engine behind it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from lsprotocol import types
from pytest_lsp import ClientServerConfig, LanguageClient

from tests.processes import engine_pid

pytestmark = pytest.mark.e2e

COMMAND = [sys.executable, "-m", "inkling", "lsp"]
MAX_MEMORY = 150 * 2**20
STUB = {"engine": {"model": "stub"}}


class Session:
    """One server and its client."""

    def __init__(self, client: LanguageClient) -> None:
        self.client = client

    @property
    def server(self) -> psutil.Process:
        """The server's process, a child of this one."""
        [found] = [it for it in psutil.Process().children() if "lsp" in it.cmdline()]
        return found

    async def start(self, options: dict[str, Any] | None = None) -> types.InitializeResult:
        result: types.InitializeResult = await self.client.initialize_session(
            types.InitializeParams(
                capabilities=types.ClientCapabilities(), initialization_options=options
            )
        )
        return result

    def open(self, file: Path, text: str) -> None:
        item = types.TextDocumentItem(file.as_uri(), "python", 1, text)
        self.client.text_document_did_open(types.DidOpenTextDocumentParams(item))

    def type(self, file: Path, line: int, character: int, text: str) -> None:
        at = types.Position(line, character)
        change = types.TextDocumentContentChangePartial(types.Range(at, at), text)
        document = types.VersionedTextDocumentIdentifier(version=2, uri=file.as_uri())
        self.client.text_document_did_change(types.DidChangeTextDocumentParams(document, [change]))

    async def complete(self, file: Path, line: int, character: int) -> str | None:
        """The text of the completion, "" for none, None for a superseded request."""
        answer = await self.client.text_document_inline_completion_async(
            types.InlineCompletionParams(
                context=types.InlineCompletionContext(types.InlineCompletionTriggerKind.Automatic),
                text_document=types.TextDocumentIdentifier(file.as_uri()),
                position=types.Position(line, character),
            )
        )
        if answer is None:
            return None
        assert isinstance(answer, types.InlineCompletionList)
        return str(answer.items[0].insert_text) if answer.items else ""

    async def status(self) -> Any:
        ask: Callable[..., Awaitable[Any]] = self.client.protocol.send_request_async
        return await ask("inkling/status", {})


@pytest.fixture
async def session(runtime: Path) -> AsyncIterator[Session]:
    """A server whose engine and settings are this test's own."""
    client = await ClientServerConfig(server_command=COMMAND).start()
    assert isinstance(client, LanguageClient)
    yield Session(client)
    await client.shutdown_session()
    stop: Callable[[], Awaitable[None]] = client.stop
    await stop()


async def test_the_demo_model_completes_and_typing_its_text_asks_it_nothing(
    session: Session, tmp_path: Path
) -> None:
    capabilities = (await session.start()).capabilities
    assert capabilities.inline_completion_provider is not None
    file = tmp_path / "sizes.py"
    start = "import os\n\n\ndef file_size(path):\n    return os.path."
    session.open(file, start)
    text = await session.complete(file, 4, 19)
    assert text
    status = await session.status()
    assert (status.state, status.kind, status.reason) == ("ready", "demo", "")
    before = status.counters
    assert before.requests - before.from_memory == 1
    for typed in range(1, len(text)):
        if text[typed - 1] == "\n":
            break
        session.type(file, 4, 18 + typed, text[typed - 1])
        assert await session.complete(file, 4, 19 + typed) == text[typed:]
    after = (await session.status()).counters
    assert after.requests > before.requests
    assert after.requests - after.from_memory == 1
    assert session.server.memory_info().rss <= MAX_MEMORY


async def test_a_killed_engine_is_silence_at_most_and_the_next_key_completes(
    session: Session, runtime: Path, tmp_path: Path
) -> None:
    await session.start(STUB)
    file = tmp_path / "a.py"
    session.open(file, "x = 1\n")
    text = await session.complete(file, 1, 0)
    assert text
    killed = engine_pid(runtime)
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    session.type(file, 1, 0, "y")
    first = await session.complete(file, 1, 1)
    assert first is not None
    session.type(file, 1, 1, "z")
    assert first or await session.complete(file, 1, 2)
    assert engine_pid(runtime) != killed


async def test_two_servers_share_one_engine(
    session: Session, runtime: Path, tmp_path: Path
) -> None:
    other = await ClientServerConfig(server_command=COMMAND).start()
    assert isinstance(other, LanguageClient)
    for each in (session, Session(other)):
        await each.start(STUB)
        file = tmp_path / "a.py"
        each.open(file, "x = 1\n")
        assert await each.complete(file, 1, 0)
    commands = [process.cmdline() for process in psutil.process_iter() if _is_engine(process)]
    assert len(commands) == 1
    await other.shutdown_session()
    stop: Callable[[], Awaitable[None]] = other.stop
    await stop()


def _is_engine(process: psutil.Process) -> bool:
    """Whether a process is an engine of this test."""
    try:
        mine = process.environ().get("INKLING_RUNTIME_DIR") == os.environ["INKLING_RUNTIME_DIR"]
        return mine and process.cmdline()[-1:] == ["engine"]
    except psutil.Error:
        return False


async def test_a_huge_document_is_left_alone_and_the_others_are_completed(
    session: Session, tmp_path: Path
) -> None:
    await session.start(STUB)
    huge, small = tmp_path / "huge.py", tmp_path / "small.py"
    session.open(huge, "x = 'é'\n" * (20 * 2**20 // 9))
    session.type(huge, 5, 0, "y")
    assert await session.complete(huge, 5, 1) == ""
    assert (await session.status()).reason == "file too large"
    session.open(small, "x = 1\n")
    assert await session.complete(small, 1, 0)
    assert (await session.status()).reason == ""


async def test_a_bad_setting_is_shown_and_the_default_holds(
    session: Session, tmp_path: Path
) -> None:
    await session.start({**STUB, "max_file_kb": "many", "debuonce_ms": 3})
    file = tmp_path / "a.py"
    session.open(file, "x = 1\n")
    assert await session.complete(file, 1, 0)
    bad, unknown = (message.message for message in session.client.messages)
    assert bad.startswith("editor options: max_file_kb cannot be 'many' (")
    assert bad.endswith("; it stays 2048.")
    assert unknown == "editor options: there is no setting debuonce_ms; did you mean debounce_ms?"


def framed(*messages: dict[str, Any]) -> bytes:
    bodies = [json.dumps({"jsonrpc": "2.0", **message}).encode() for message in messages]
    return b"".join(b"Content-Length: %d\r\n\r\n%b" % (len(body), body) for body in bodies)


INITIALIZE = {
    "id": 1,
    "method": "initialize",
    "params": {"processId": None, "rootUri": None, "capabilities": {}},
}
INITIALIZED = {"method": "initialized", "params": {}}


@pytest.mark.parametrize(
    ("messages", "status"),
    [
        ([INITIALIZE, {"id": 2, "method": "shutdown"}, {"method": "exit"}], 0),
        ([INITIALIZE, {"method": "exit"}], 1),
        ([INITIALIZE], 1),
        ([INITIALIZE, INITIALIZED], 1),
        ([INITIALIZE, INITIALIZED, {"id": 2, "method": "shutdown"}, {"method": "exit"}], 0),
        ([], 1),
    ],
)
def test_the_exit_status_tells_whether_there_was_a_shutdown(
    messages: list[dict[str, Any]], status: int
) -> None:
    ran = subprocess.run(
        COMMAND, input=framed(*messages), capture_output=True, timeout=30, check=False
    )
    assert (ran.returncode, ran.stderr) == (status, b"")


def test_what_anything_prints_goes_to_stderr_and_not_into_the_protocol(runtime: Path) -> None:
    program = """
import os, subprocess, sys
from inkling.lsp.server import run

def make_completer(settings, on_status):
    print("printed", flush=True)
    os.write(1, b"written\\n")
    subprocess.run(["echo", "by a child"])
    raise ValueError("no completer")

run(make_completer)
"""
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as server:
        assert server.stdin is not None
        assert server.stderr is not None
        server.stdin.write(framed(INITIALIZE, INITIALIZED))
        server.stdin.flush()
        errors = b""
        while b"ValueError: no completer" not in errors:
            more = os.read(server.stderr.fileno(), 65536)
            assert more, errors
            errors += more
        said, _ = server.communicate(timeout=30)
    assert said.count(b"Content-Length") == 1
    for text in (b"printed", b"written", b"by a child"):
        assert text not in said
        assert text in errors
