"""The engine process's beginning and end, seen from outside."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from inkling.client import EngineClient, SamplingParams
from inkling.config import EngineSettings
from inkling.engine.pick import demo_folder
from inkling.errors import EngineUnavailable
from inkling.tokenizer import Tokenizer

pytestmark = pytest.mark.e2e

PROMPT = Tokenizer.load(demo_folder()).encode("def add(a, b):\n    return a")
LONG = SamplingParams(max_tokens=3000, temperature=1.0, seed=1)


@contextmanager
def engine(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-m", "inkling", "engine", *arguments], stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    return process.stderr.readline()


def wait_for_exit(pid: int) -> None:
    for _ in range(400):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
            return
        time.sleep(0.05)
    pytest.fail(f"the engine of pid {pid} does not end")


def left_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} & {"engine.sock", "engine.json"}


async def test_sigterm_ends_running_streams_and_leaves_nothing(runtime: Path) -> None:
    client = EngineClient(EngineSettings())
    try:
        pid = (await client.model()).pid
        stream = client.generate(PROMPT, LONG)
        await anext(stream)
        num_pieces = 1
        os.kill(pid, signal.SIGTERM)
        with pytest.raises(EngineUnavailable):
            async for _ in stream:
                num_pieces += 1
        await asyncio.to_thread(wait_for_exit, pid)
        assert num_pieces < LONG.max_tokens
        assert not left_in(runtime)
    finally:
        await client.aclose()


def test_an_engine_told_to_end_while_it_waits_for_requests_leaves_nothing(runtime: Path) -> None:
    with engine() as process:
        assert "listening on" in line_of(process)
        assert left_in(runtime) == {"engine.sock", "engine.json"}
        process.terminate()
        assert process.wait(20) == 0
    assert not left_in(runtime)


def test_a_second_engine_waits_for_one_that_is_loading(runtime: Path) -> None:
    with engine() as first, engine() as second:
        lines = sorted([line_of(first), line_of(second)], key=lambda line: "attached" in line)
        assert "listening on" in lines[0]
        assert "attached to the engine of pid" in lines[1]


def test_a_gpu_that_is_not_there_is_one_sentence(runtime: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "inkling", "engine", "--device", "cuda"],
        capture_output=True,
        check=False,
        text=True,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
    )
    assert ran.returncode == 1
    assert ran.stderr.startswith('inkling: engine.device is "cuda", but torch finds no GPU')
    assert len(ran.stderr.strip().splitlines()) == 1


def test_without_its_packages_it_says_what_to_install(runtime: Path) -> None:
    """As after `pip install inkling-lsp`, which brings no torch."""
    code = (
        "import sys; sys.modules['torch'] = None; sys.argv = ['inkling', 'engine'];"
        "from inkling.cli import main; sys.exit(main())"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, text=True)
    assert ran.returncode == 1
    assert ran.stderr.startswith(
        'inkling: torch is not installed: pip install "inkling-lsp[engine]"'
    )
    assert len(ran.stderr.splitlines()) == 1
