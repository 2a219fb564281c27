"""The engine as the server sees it: OpenAI completions over a unix socket or loopback, streaming.

Starts the engine when none answers. Knows nothing of what a prompt means and never imports torch.
"""

import asyncio
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import aiohttp

from inkling.config import EngineSettings
from inkling.core import Priority, Usage
from inkling.errors import EngineRefused, EngineUnavailable
from inkling.runtime import Address, read_address, start_engine

CONNECT_TIMEOUT_S = 5.0
CONNECT_TRIES = 20
CONNECT_PAUSE_S = 0.05
# What aiohttp raises when an engine goes away, or when its session was closed meanwhile.
BROKEN = (aiohttp.ClientError, RuntimeError)
DIED = "the engine ended; the next key starts it again."


@dataclass(frozen=True)
class SamplingParams:
    """How to choose tokens; the fields are OpenAI's. `max_tokens=0` only fills the KV cache;
    `logprobs` asks for the log-probability of each token and that many alternatives."""

    max_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    logprobs: int | None = None


@dataclass(frozen=True)
class Piece:
    """One event of a stream, which is one token where it has `token_ids`; `logprob` is that token's,
    where it was asked for. An event soon after the first token and the last one carry the `usage` up to
    there and no text."""

    text: str = ""
    token_ids: tuple[int, ...] = ()
    finish_reason: str | None = None
    usage: Usage | None = None
    logprob: float | None = None


@dataclass(frozen=True)
class EngineModel:
    """The model an engine serves. `root` is the checkpoint's folder; `kind` is "demo", "exl2" or
    "stub"; `description` is what every surface shows of it, `where` the machine it runs on."""

    id: str
    root: Path
    context_len: int
    kind: str
    device: str
    description: str
    pid: int
    where: str = "this machine"


class EngineClient:
    """A connection to the engine of this machine, made when first needed and again when it broke."""

    def __init__(self, settings: EngineSettings, *, spawn: bool = True) -> None:
        """With `spawn` an engine is started when none answers."""
        self.settings = settings  # for the next engine that is started
        self._spawn = spawn
        self._connection: _Connection | None = None
        self._served: EngineModel | None = None  # by the engine we are connected to
        self._known: EngineModel | None = None  # what our caller believes
        self._connecting = asyncio.Lock()

    async def model(self) -> EngineModel:
        """The model that answers. Raises EngineUnavailable."""
        await self._connected()
        assert self._served is not None
        self._known = self._served
        return self._served

    async def generate(
        self,
        prompt: list[int],
        params: SamplingParams,
        priority: Priority = Priority.INTERACTIVE,
        healing: int = 0,
    ) -> AsyncGenerator[Piece, None]:
        """Stream a completion of `prompt` (token ids); the engine may choose the last `healing` of
        them again. Closing the iterator ends the engine's work within one step.

        Raises EngineRefused for a request that cannot be served, EngineUnavailable when the engine
        dies (the next call starts another) or when one with another model has taken its place.
        """
        body: dict[str, Any] = {
            "prompt": prompt,
            "stream": True,
            "max_tokens": params.max_tokens,
            "temperature": params.temperature,
            "top_p": params.top_p,
            "stop": list(params.stop),
            "priority": priority.name.lower(),
            "healing": healing,
        }
        if params.seed is not None:
            body["seed"] = params.seed
        if params.logprobs is not None:
            body["logprobs"] = params.logprobs
        for is_last_try in (False, True):
            connection = await self._connected()
            if self._known and self._served and self._known.root != self._served.root:
                raise EngineUnavailable("another model answers now; the next key asks it.")
            has_answered = False
            connection.num_streams += 1
            try:
                async with connection.http.post("/v1/completions", json=body) as response:
                    if response.status != 200:
                        await _checked(response)
                    async for line in response.content:
                        has_answered = True
                        if line.startswith(b"data: {"):
                            yield _piece(json.loads(line.removeprefix(b"data: ")))
                return
            except BROKEN as error:
                self._give_up(connection)
                # An engine that ended since the last key (idle, killed) costs nothing but its start.
                if has_answered or is_last_try:
                    raise EngineUnavailable(DIED) from error
            finally:
                connection.num_streams -= 1
                await connection.close_if_unused()

    async def aclose(self) -> None:
        """Close the connection, once its last stream has ended. The engine goes on."""
        if connection := self._connection:
            self._give_up(connection)
            await connection.close_if_unused()

    async def _connected(self) -> "_Connection":
        """A connection to a living engine, starting one if need be."""
        async with self._connecting:
            for _ in range(CONNECT_TRIES):
                if self._connection is not None:
                    return self._connection
                address = await asyncio.to_thread(read_address)
                if address is None and not self._spawn:
                    raise EngineUnavailable(
                        "no engine is running: start one with `inkling engine`."
                    )
                if address is None:
                    address = await asyncio.to_thread(start_engine, self.settings)
                http = _connect(address)
                try:
                    async with http.get("/v1/models") as response:
                        self._served = _model(await _checked(response), address.where)
                except BROKEN:  # killed a moment ago: its lock is about to be free
                    await http.close()
                    await asyncio.sleep(CONNECT_PAUSE_S)
                except BaseException:
                    await http.close()
                    raise
                else:
                    self._connection = _Connection(http)
        if self._connection is None:
            raise EngineUnavailable("an engine is there but does not answer: end it and try again.")
        return self._connection

    def _give_up(self, connection: "_Connection") -> None:
        """Ask nothing more of a connection; somebody else may have made a new one already."""
        connection.is_given_up = True
        if self._connection is connection:
            self._connection = None


@dataclass(eq=False)
class _Connection:
    """A session and the streams on it. aiohttp tells a stream nothing when its session is closed under
    it, and it would wait for ever: so the last one to leave closes what was given up."""

    http: aiohttp.ClientSession
    num_streams: int = 0
    is_given_up: bool = False

    async def close_if_unused(self) -> None:
        if self.is_given_up and not self.num_streams:
            await self.http.close()


def _connect(address: Address) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        address.url or "http://engine",
        connector=aiohttp.UnixConnector(address.socket) if address.socket else None,
        headers={"Authorization": f"Bearer {address.token}"} if address.token else {},
        # A long prompt on a CPU takes its time; that the engine lives shows in its connection.
        timeout=aiohttp.ClientTimeout(total=None, connect=CONNECT_TIMEOUT_S),
    )


def _model(answer: Any, where: str) -> EngineModel:
    """The first entry of `/v1/models`."""
    entry = answer["data"][0]
    about = entry["inkling"]
    return EngineModel(
        id=entry["id"],
        root=Path(entry["root"]),
        context_len=entry["max_model_len"],
        kind=about["kind"],
        device=about["device"],
        description=about["description"],
        pid=about["pid"],
        where=where,
    )


async def _checked(response: aiohttp.ClientResponse) -> Any:
    """The body of a good answer. Raises EngineRefused with the engine's own sentence."""
    try:
        body = json.loads(await response.read())
    except ValueError:
        raise EngineRefused(f"the engine answered {response.status} without JSON.") from None
    if response.status != 200:
        raise EngineRefused(str(body["error"]["message"]))
    return body


def _piece(event: dict[str, Any]) -> Piece:
    if "error" in event:
        raise EngineRefused(str(event["error"]["message"]))
    usage = None
    if counted := event.get("usage"):
        names = (field.name for field in fields(Usage))
        usage = Usage(**{name: counted[name] for name in names})
    for choice in event["choices"]:
        ids, logprobs = tuple(choice["token_ids"]), choice.get("logprobs")
        logprob = logprobs["token_logprobs"][0] if logprobs else None
        return Piece(choice["text"], ids, choice["finish_reason"], usage, logprob)
    return Piece(usage=usage)
