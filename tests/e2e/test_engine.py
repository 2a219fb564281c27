"""A real engine process: started on demand, shared, killed, idle, refused."""

import asyncio
import contextlib
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from inkling.client import EngineClient, Piece, SamplingParams
from inkling.config import EngineSettings
from inkling.core import Priority
from inkling.engine.pick import demo_folder
from inkling.errors import EngineRefused, EngineUnavailable
from inkling.runtime import read_address
from inkling.tokenizer import Tokenizer
from tests.processes import engine_pid

pytestmark = pytest.mark.e2e

STUB = EngineSettings(model="stub")
DEMO = EngineSettings()
TOKENIZER = Tokenizer.load(demo_folder())
PROMPT = TOKENIZER.encode("def add(a, b):\n    return a")


@contextlib.asynccontextmanager
async def connected(settings: EngineSettings = STUB) -> AsyncIterator[EngineClient]:
    client = EngineClient(settings)
    try:
        yield client
    finally:
        await client.aclose()


async def collect(
    client: EngineClient, max_tokens: int = 8, prompt: list[int] = PROMPT
) -> list[Piece]:
    params = SamplingParams(max_tokens=max_tokens)
    return [piece async for piece in client.generate(prompt, params)]


def run_engine(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "inkling", "engine", *arguments],
        stderr=subprocess.PIPE,
        text=True,
    )


async def test_two_servers_share_one_engine_and_a_second_engine_attaches(runtime: Path) -> None:
    async with connected() as first, connected() as second:
        models = await asyncio.gather(first.model(), second.model())
        assert models[0].pid == models[1].pid == engine_pid(runtime)
        assert models[0].kind == "stub"
        attached = run_engine()
        assert attached.stderr is not None
        said = await asyncio.to_thread(attached.stderr.readline)
        assert f"attached to the engine of pid {models[0].pid}: stub" in said
        assert attached.poll() is None
        os.kill(models[0].pid, signal.SIGTERM)
        assert await asyncio.to_thread(attached.wait, 20) == 0
        attached.stderr.close()


async def test_only_its_owner_can_reach_it(runtime: Path) -> None:
    async with connected() as client:
        await client.model()
        for name in ("engine.sock", "engine.json"):
            assert stat.S_IMODE((runtime / name).stat().st_mode) == 0o600


async def test_a_killed_engine_costs_one_completion_and_the_next_request_starts_another(
    runtime: Path,
) -> None:
    async with connected(DEMO) as client:
        killed = (await client.model()).pid
        stream = client.generate(PROMPT, SamplingParams(max_tokens=400, temperature=1.0, seed=1))
        await anext(stream)
        os.kill(killed, signal.SIGKILL)
        with pytest.raises(EngineUnavailable, match="the next key starts it again"):
            async for _ in stream:
                pass
        pieces = await collect(client)
        assert pieces[-1].usage is not None
        assert (await client.model()).pid != killed


async def test_the_demo_model_reuses_prompts_to_the_token(runtime: Path) -> None:
    async with connected(DEMO) as client:
        first = await collect(client)
        longer = await collect(client, prompt=[*PROMPT, *TOKENIZER.encode(" + b")])
        again = await collect(client)
        assert first[-1].usage is not None
        assert longer[-1].usage is not None
        assert first[-1].usage.reused == 0
        assert longer[-1].usage.reused >= len(PROMPT)
        assert [piece.text for piece in again] == [piece.text for piece in first]


async def test_a_client_that_goes_away_ends_its_work(runtime: Path) -> None:
    async with connected(DEMO) as client:
        stream = client.generate(PROMPT, SamplingParams(max_tokens=900, temperature=1.0, seed=2))
        await anext(stream)
        await stream.aclose()
        address = read_address()
        assert address is not None
        transport = httpx.AsyncHTTPTransport(uds=address.socket)
        async with httpx.AsyncClient(transport=transport, base_url="http://engine") as http:
            for _ in range(100):
                text = (await http.get("/metrics")).text
                if 'outcome="cancelled",route="/v1/completions"} 1.0' in text:
                    break
                await asyncio.sleep(0.05)
            assert 'outcome="cancelled",route="/v1/completions"} 1.0' in text


async def test_prewarming_costs_the_next_request_its_prefill(runtime: Path) -> None:
    async with connected(DEMO) as client:
        params = SamplingParams(max_tokens=0)
        warm = [piece async for piece in client.generate(PROMPT, params, Priority.IDLE)]
        assert [piece.text for piece in warm] == [""]
        pieces = await collect(client, 1)
        assert pieces[-1].usage is not None
        assert pieces[-1].usage.prefilled == 1


async def test_it_ends_when_idle_and_comes_back_when_asked(runtime: Path) -> None:
    async with connected(EngineSettings(model="stub", idle_minutes=0.02)) as client:
        first = (await client.model()).pid
        for _ in range(100):
            if engine_pid(runtime) is None:
                break
            await asyncio.sleep(0.1)
        assert engine_pid(runtime) is None
        assert not (runtime / "engine.sock").exists()
        assert await collect(client)
        assert (await client.model()).pid != first


async def test_over_tcp_it_asks_for_the_token(runtime: Path) -> None:
    async with connected(EngineSettings(model="stub", transport="tcp")) as client:
        await client.model()
        address = read_address()
        assert address is not None
        async with httpx.AsyncClient(trust_env=False) as http:
            assert (await http.get(f"{address.url}/v1/models")).status_code == 401
        assert address.url.startswith("http://127.0.0.1:")


def refused(*arguments: str, **environment: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-m", "inkling", "engine", *arguments],
        capture_output=True,
        check=False,
        text=True,
        env={**os.environ, **environment},
    )
    assert ran.returncode == 1
    return ran.stderr


def test_a_port_or_a_socket_in_use_is_one_clear_sentence(runtime: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        tcp = {"INKLING_ENGINE__TRANSPORT": "tcp", "INKLING_ENGINE__PORT": str(port)}
        assert f"inkling: port {port} is not free" in refused(**tcp)
    with socket.socket(socket.AF_UNIX) as taken:
        taken.bind(str(runtime / "engine.sock"))
        taken.listen()
        assert "another program listens on" in refused()
    (runtime / "engine.sock").unlink()
    (runtime / "engine.sock").write_text("mine")
    assert "is in the way and is no socket" in refused()
    assert (runtime / "engine.sock").read_text() == "mine"


def test_a_checkpoint_that_cannot_be_used_is_one_clear_sentence(
    runtime: Path, tmp_path: Path
) -> None:
    missing = refused("--model", str(tmp_path / "nowhere"), "--device", "cpu")
    assert missing.startswith("inkling: ")
    assert str(tmp_path / "nowhere") in missing
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (tmp_path / name).write_bytes((demo_folder() / name).read_bytes())
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])
    truncated = refused("--model", str(tmp_path), "--device", "cpu")
    assert "truncated" in truncated
    assert len(truncated.strip().splitlines()) == 1


async def test_the_server_learns_why_an_engine_could_not_start(
    runtime: Path, tmp_path: Path
) -> None:
    async with connected(EngineSettings(model=str(tmp_path), device="cpu")) as client:
        with pytest.raises(EngineUnavailable, match="the engine could not start: .*json"):
            await client.model()


async def test_a_prompt_longer_than_the_context_is_refused_with_both_lengths(
    runtime: Path,
) -> None:
    async with connected(EngineSettings(context_len=64)) as client:
        with pytest.raises(EngineRefused, match="the prompt has 80 tokens and the context 64"):
            await collect(client, prompt=PROMPT[:1] * 80)
        assert await collect(client)


async def test_two_completions_of_a_killed_engine_end_and_the_next_one_works(
    runtime: Path,
) -> None:
    async with connected(DEMO) as client:
        killed = (await client.model()).pid
        params = SamplingParams(max_tokens=400, temperature=1.0, seed=1)

        async def follow() -> None:
            async for _ in client.generate(PROMPT, params):
                pass

        both = [asyncio.create_task(follow()) for _ in range(2)]
        await asyncio.sleep(0.3)
        os.kill(killed, signal.SIGKILL)
        ended = await asyncio.gather(*both, return_exceptions=True)
        assert any(isinstance(error, EngineUnavailable) for error in ended)
        assert not any(isinstance(error, RuntimeError) for error in ended)
        assert await collect(client)


async def test_token_ids_of_one_model_are_never_sent_to_another(
    runtime: Path, tmp_path: Path
) -> None:
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (tmp_path / name).write_bytes((demo_folder() / name).read_bytes())
    async with connected(DEMO) as client:
        os.kill((await client.model()).pid, signal.SIGKILL)
        client.settings = EngineSettings(model=str(tmp_path), device="cpu")
        with pytest.raises(EngineUnavailable, match="another model answers now"):
            await collect(client)
        assert (await client.model()).root == tmp_path
        assert await collect(client)
