"""Streams that share a connection: what happens to one is not the other's."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from inkling import client
from inkling.client import EngineClient, SamplingParams
from inkling.config import EngineSettings
from inkling.errors import EngineUnavailable
from inkling.runtime import Address

ABOUT = {"kind": "stub", "device": "cpu", "description": "", "pid": 1}
MODEL = json.dumps(
    {"data": [{"id": "m", "root": "/", "max_model_len": 64, "inkling": ABOUT}]}
).encode()
EVENT = json.dumps(
    {"choices": [{"text": "a", "token_ids": [1], "finish_reason": None}], "usage": None}
)


class Server:
    """Answers who it is, and begins streams that it never ends by itself."""

    def __init__(self) -> None:
        self.streams: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\n")
            if head.startswith(b"GET"):
                writer.write(b"content-length: %d\r\n\r\n%s" % (len(MODEL), MODEL))
                continue
            data = f"data: {EVENT}\n\n".encode()
            writer.write(b"transfer-encoding: chunked\r\n\r\n%x\r\n%s\r\n" % (len(data), data))
            self.streams.append(writer)
            await asyncio.Event().wait()


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    served = Server()
    listening = await asyncio.start_server(served.serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    address = Address(1, url=f"http://127.0.0.1:{port}", token="t")
    monkeypatch.setattr(client, "read_address", lambda: address)
    yield served
    listening.close()
    for stream in served.streams:
        stream.transport.abort()


async def read(engine: EngineClient) -> list[str]:
    return [piece.text async for piece in engine.generate([1], SamplingParams(max_tokens=8))]


@pytest.mark.parametrize("pause", [0.0, 0.02])
async def test_an_engine_that_dies_ends_every_stream(server: Server, pause: float) -> None:
    """Their sockets need not close at the same moment."""
    engine = EngineClient(EngineSettings(), spawn=False)
    readers = [asyncio.create_task(read(engine)) for _ in range(2)]
    while len(server.streams) < 2:
        await asyncio.sleep(0.01)
    for stream in tuple(server.streams):
        stream.transport.abort()
        await asyncio.sleep(pause)
    for reader in readers:
        with pytest.raises(EngineUnavailable):
            await asyncio.wait_for(reader, 20)
    await engine.aclose()
