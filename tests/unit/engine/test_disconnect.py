"""A client that closes its socket, over real HTTP: the pass under way is the last one."""

import asyncio
import json
import shutil
import socket
import tempfile
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import httpx
import pytest
import torch
import uvicorn
from torch import Tensor

from inkling.config import EngineSettings
from inkling.engine.app import make_app
from inkling.engine.model.base import KVStore
from inkling.engine.pick import Picked
from inkling.engine.serving import CHUNK_LEN, Serving, make_serving
from tests.unit.engine.toy import TOKENIZER, ToyModel

LETTER = 97


class GatedModel(ToyModel):
    """Writes one letter for ever; each pass waits until the test lets it through."""

    def __init__(self) -> None:
        super().__init__()
        self.num_begun = 0
        self.gate = threading.Semaphore(0)

    def forward(
        self,
        token_ids: Sequence[int],
        start: int,
        pages: Sequence[int],
        kv: KVStore,
        num_logits: int,
    ) -> Tensor:
        self.num_begun += 1
        assert self.gate.acquire(timeout=60)
        logits = torch.zeros(num_logits, TOKENIZER.vocab_size)
        logits[:, LETTER] = 10
        return logits


@pytest.fixture
def model() -> GatedModel:
    return GatedModel()


@pytest.fixture
async def serving(model: GatedModel) -> AsyncIterator[Serving]:
    picked = Picked(model, TOKENIZER, Path("/toy"), "toy", "demo", "cpu", "toy model")
    serving = make_serving(picked, EngineSettings(kv_tokens=4096))
    yield serving
    model.gate.release(100_000)
    serving.scheduler.stop()
    serving.cache.check_integrity()


@pytest.fixture
async def path(model: GatedModel, serving: Serving) -> AsyncIterator[Path]:
    """The socket of a uvicorn that serves the app."""
    folder = Path(tempfile.mkdtemp(prefix="ink-"))
    config = uvicorn.Config(
        make_app(serving), uds=str(folder / "s"), lifespan="off", log_level="warning"
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    yield folder / "s"
    model.gate.release(100_000)  # a failed test's work must not hold the server
    server.should_exit = True
    await task
    shutil.rmtree(folder)


def send(path: Path, body: dict[str, object]) -> socket.socket:
    """A request on a bare socket, sent and never read."""
    content = json.dumps(body).encode()
    head = f"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(content)}\r\n\r\n"
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(path))
    connection.sendall(head.encode() + content)
    return connection


@pytest.mark.parametrize("is_stream", [True, False], ids=["stream", "whole answer"])
@pytest.mark.parametrize("num_passes", [1, 2, 5], ids=["first chunk", "second chunk", "decode"])
async def test_a_closed_socket_stops_the_work_with_the_pass_under_way(
    model: GatedModel, serving: Serving, path: Path, num_passes: int, is_stream: bool
) -> None:
    prompt = [LETTER] * (3 * CHUNK_LEN["cpu"])
    connection = send(path, {"prompt": prompt, "max_tokens": 3000, "stream": is_stream})
    for _ in range(num_passes - 1):
        model.gate.release()
    while model.num_begun < num_passes:
        await asyncio.sleep(0.01)
    connection.close()
    while serving.num_running:
        await asyncio.sleep(0.01)
    model.gate.release(100_000)
    transport = httpx.AsyncHTTPTransport(uds=str(path))
    async with httpx.AsyncClient(transport=transport, base_url="http://engine") as http:
        body = {"prompt": [98], "max_tokens": 0, "priority": "idle"}
        assert (await http.post("/v1/completions", json=body)).status_code == 200
        assert model.num_begun == num_passes + 1
        text = (await http.get("/metrics")).text
    assert 'inkling_requests_total{outcome="cancelled",route="/v1/completions"} 1.0' in text
