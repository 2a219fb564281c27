"""What a keystroke costs on this machine: `make bench`. A table; the last line is one JSON object.

Real processes throughout: `inkling lsp` over stdio, an engine of its own with the demo model, and
`inkling complete` from a cold start. Nothing else should run meanwhile.
"""

import asyncio
import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil

from inkling.client import EngineClient, SamplingParams
from inkling.config import EngineSettings
from inkling.context.syntax import parse
from inkling.core import DocumentSnapshot
from inkling.prompt.harmony import wording_of
from inkling.prompt.plan import PromptPlan, make_plan
from inkling.tokenizer import Tokenizer

STARTS = 7
COLD_STARTS = 3
# Typed key by key into a file of some hundred lines.
TYPED = '''def read_settings(path, defaults):
    """Read settings from a JSON file, with defaults for what is missing."""
    with open(path, encoding="utf-8") as stream:
        settings = json.load(stream)
    for name, value in defaults.items():
        settings.setdefault(name, value)
    return settings
'''
ABOVE = "import json\nimport os\nfrom pathlib import Path\n\n\n" + "".join(
    f"def step_{n}(values):\n    total = sum(values) + {n}\n    return total / len(values)\n\n\n"
    for n in range(60)
)
BELOW = '\n\ndef main():\n    print(read_settings("settings.json", {"colour": "blue"}))\n'


class Server:
    """`inkling lsp` over its pipes, by hand: a client library's own time must not count."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self._next_id = 0

    async def request(self, method: str, params: Any) -> Any:
        self._next_id += 1
        await self._send({"id": self._next_id, "method": method, "params": params})
        while True:
            message = await self._read()
            if message.get("id") == self._next_id and "method" not in message:
                return message["result"]
            if "id" in message and "method" in message:
                await self._send({"id": message["id"], "result": None})

    async def notify(self, method: str, params: Any) -> None:
        await self._send({"method": method, "params": params})

    async def _send(self, message: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        await self.process.stdin.drain()

    async def _read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        length = 0
        while (line := await self.process.stdout.readline()) != b"\r\n":
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        message: dict[str, Any] = json.loads(await self.process.stdout.readexactly(length))
        return message


@contextlib.asynccontextmanager
async def started(options: dict[str, Any] | None = None) -> AsyncIterator[tuple[Server, float]]:
    """A server that has answered `initialize`, and how long that took (ms)."""
    start = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "inkling", "lsp"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    server = Server(process)
    params: dict[str, Any] = {"processId": os.getpid(), "rootUri": None, "capabilities": {}}
    await server.request("initialize", {**params, "initializationOptions": options or {}})
    elapsed_ms = (time.perf_counter() - start) * 1000
    await server.notify("initialized", {})
    yield server, elapsed_ms
    await server.request("shutdown", None)
    await server.notify("exit", None)
    await process.wait()


def percentile(values: list[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(part * (len(ordered) - 1)))]


async def measure_starts() -> list[float]:
    times = []
    for _ in range(STARTS):
        async with started() as (_, elapsed_ms):
            times.append(elapsed_ms)
    return times


def measure_cold_complete(folder: Path) -> float:
    """`inkling complete` with no engine running: seconds to the whole completion."""
    file = folder / "cold.py"
    file.write_text(ABOVE + "def mean(values):\n    return ")
    start = time.perf_counter()
    subprocess.run(
        [
            sys.executable,
            "-m",
            "inkling",
            "complete",
            f"{file}:{file.read_text().count(chr(10)) + 1}",
        ],
        check=False,
        capture_output=True,
    )
    return time.perf_counter() - start


async def measure_first_tokens() -> dict[str, list[float]]:
    """Every typed character as a new request: time to the first token, and what was computed."""
    client = EngineClient(EngineSettings())
    model = await client.model()
    tokenizer = Tokenizer.load(model.root)
    plan: PromptPlan | None = None
    found: dict[str, list[float]] = {"ttft": [], "prepare": [], "prefilled": [], "reuse": []}
    tree = None
    for typed in range(len(TYPED) + 1):
        text, offset = ABOVE + TYPED[:typed] + BELOW, len(ABOVE) + typed
        document = DocumentSnapshot("file:///bench.py", "bench.py", "python", text, typed)
        start = time.perf_counter()
        tree = parse("python", text, tree)
        if plan is None or not plan.holds(tokenizer, document, offset):
            budget = model.context_len - 160
            plan = make_plan(tokenizer, wording_of(model.kind), document, offset, (), budget, plan)
        prompt = plan.prompt(tokenizer, document, offset)
        asked = time.perf_counter()
        stream = client.generate(
            prompt.token_ids, SamplingParams(max_tokens=1), healing=prompt.healing
        )
        first = 0.0
        async for piece in stream:
            first = first or time.perf_counter()
            if piece.usage is not None and typed:
                found["prefilled"].append(piece.usage.prefilled)
                found["reuse"].append(piece.usage.reused / piece.usage.prompt_tokens)
        if typed:
            found["ttft"].append((first - asked) * 1000)
            found["prepare"].append((asked - start) * 1000)
    await client.aclose()
    return found


async def measure_type_through() -> tuple[list[float], list[float], float]:
    """Over the server: asking anew, then typing what is shown. Milliseconds; memory in MB."""
    uri = "file:///bench.py"
    head = ABOVE + "def read_settings(path):\n    with open(path) as stream:\n        "
    line = head.count("\n")
    async with started() as (server, _):

        async def ask(typed: str, version: int) -> tuple[str, float]:
            change = {"text": head + typed + BELOW}
            document = {"uri": uri, "version": version}
            await server.notify(
                "textDocument/didChange", {"textDocument": document, "contentChanges": [change]}
            )
            start = time.perf_counter()
            found = await server.request(
                "textDocument/inlineCompletion",
                {
                    "textDocument": {"uri": uri},
                    "position": {"line": line, "character": 8 + len(typed)},
                    "context": {"triggerKind": 2},
                },
            )
            elapsed_ms = (time.perf_counter() - start) * 1000
            items = (found or {}).get("items", [])
            return (items[0]["insertText"] if items else ""), elapsed_ms

        opened = {"uri": uri, "languageId": "python", "version": 0, "text": head + BELOW}
        await server.notify("textDocument/didOpen", {"textDocument": opened})
        fresh, through, version = [], [], 0
        for begun in ("return json.", "data = ", "for name in ", "if not ", "raise ", "print("):
            version += 1
            shown, elapsed_ms = await ask(begun, version)
            fresh.append(elapsed_ms)
            for typed in range(1, len(shown.split("\n")[0])):
                version += 1
                _rest, elapsed_ms = await ask(begun + shown[:typed], version)
                through.append(elapsed_ms)
        memory = psutil.Process(server.process.pid).memory_info().rss / 1e6
    return fresh, through, memory


async def main() -> None:
    with tempfile.TemporaryDirectory(prefix="ink-") as name:
        folder = Path(name)
        os.environ["INKLING_RUNTIME_DIR"] = name
        os.environ["XDG_STATE_HOME"] = str(folder / "state")
        # As installed: modules are compiled once, not at every start.
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        starts = await measure_starts()
        cold = []
        for _ in range(COLD_STARTS):
            stop_engine()
            cold.append(measure_cold_complete(folder) * 1000)
        found = await measure_first_tokens()
        fresh, through, memory = await measure_type_through()
        stop_engine()
    rows = [
        ("start to `initialize` answered, ms", starts),
        ("`inkling complete`, cold, ms", cold),
        ("a typed key: prepare the prompt, ms", found["prepare"]),
        ("a typed key: first token, ms", found["ttft"]),
        ("a typed key: prompt tokens computed", found["prefilled"]),
        ("a typed key: part of the prompt reused, %", [100 * part for part in found["reuse"]]),
        ("server: a completion asked anew, ms", fresh),
        ("server: a key typed through, ms", through),
        ("server: memory, MB", [memory]),
    ]
    print(f"\n{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    print(f"| {'what':<42} | {'p50':>8} | {'p95':>8} | {'n':>4} |")
    print(f"|{'-' * 44}|{'-' * 10}|{'-' * 10}|{'-' * 6}|")
    figures: dict[str, Any] = {}
    for label, values in rows:
        p50, p95 = statistics.median(values), percentile(values, 0.95)
        print(f"| {label:<42} | {p50:>8.1f} | {p95:>8.1f} | {len(values):>4} |")
        figures[label] = {"p50": round(p50, 2), "p95": round(p95, 2), "n": len(values)}
    print(json.dumps(figures))


def stop_engine() -> None:
    """End this benchmark's engine."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from tests.processes import stop_engine

    stop_engine(Path(os.environ["INKLING_RUNTIME_DIR"]))


if __name__ == "__main__":
    asyncio.run(main())
