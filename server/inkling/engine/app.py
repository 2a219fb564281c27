"""The engine's HTTP surface: OpenAI's routes, `/health`, `/metrics`.

The last layer that sees text; below it there are token ids. Event loop only.
"""

import contextlib
import json
import secrets
import time
from array import array
from collections.abc import AsyncGenerator, Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

import anyio
import numpy as np
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from inkling.core import Priority, Usage
from inkling.engine.answers import (
    ChatChoices,
    Choice,
    CompletionChoices,
    JobEvents,
    JobFailed,
    envelope,
    merge_chat,
    merge_completion,
    usage_fields,
)
from inkling.engine.bodies import ChatBody, CompletionBody, first_problem
from inkling.engine.harmony import chat_stop_ids, render_chat
from inkling.engine.job import Job
from inkling.engine.serving import Serving
from inkling.errors import InklingError
from inkling.prompt.harmony import wording_of

_BodyT = TypeVar("_BodyT", CompletionBody, ChatBody)


class BadRequest(InklingError):
    """A request that cannot be served, with the status that says so."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


def make_app(serving: Serving, token: str = "") -> Starlette:
    """The ASGI app over a loaded model. With a `token`, every request must bear it."""
    routes = [
        Route("/v1/completions", partial(_completions, serving), methods=["POST"]),
        Route("/v1/chat/completions", partial(_chat, serving), methods=["POST"]),
        Route("/v1/models", partial(_models, serving)),
        Route("/health", partial(_health, serving)),
        Route("/metrics", partial(_metrics, serving)),
    ]
    middleware = [Middleware(_BearerToken, token=token)] if token else []
    handlers = {BadRequest: _refused, HTTPException: _no_route}
    return Starlette(routes=routes, middleware=middleware, exception_handlers=handlers)


class _BearerToken:
    """Refuses requests without the token: a loopback port is open to every user of the machine."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._expected = f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope.get("headers", []))
        if scope["type"] == "http" and not secrets.compare_digest(
            headers.get(b"authorization", b""), self._expected
        ):
            message = "the token is missing or wrong: it is in the engine's address file."
            await _error(message, 401)(scope, receive, send)
            return
        await self._app(scope, receive, send)


async def _completions(serving: Serving, request: Request) -> Response:
    body = await _parse(serving, request, CompletionBody)
    is_text = isinstance(body.prompt, str)
    prompt = serving.tokenizer.encode(body.prompt) if isinstance(body.prompt, str) else body.prompt
    _check_prompt(serving, prompt)
    events = JobEvents(CompletionChoices(body.n, body.stops, serving.tokenizer), serving.metrics)
    job = Job(
        prompt=prompt,
        emit=events.emit,
        max_tokens=body.max_tokens,
        stop_ids=serving.tokenizer.stop_ids,
        sampling=body.sampling,
        n=body.n,
        healing=0 if is_text else body.healing,
        priority=body.priority_level,
    )
    head = envelope("text_completion", "cmpl", serving.picked.id)
    return await _answer(serving, request, body, events, job, head, merge_completion)


async def _chat(serving: Serving, request: Request) -> Response:
    body = await _parse(serving, request, ChatBody)
    system = wording_of(serving.picked.kind).system
    prompt = render_chat(serving.tokenizer, body.messages, system)
    _check_prompt(serving, prompt)
    events = JobEvents(ChatChoices(body.n, body.stops, serving.tokenizer), serving.metrics)
    job = Job(
        prompt=prompt,
        emit=events.emit,
        max_tokens=body.token_limit,
        stop_ids=chat_stop_ids(serving.tokenizer),
        sampling=body.sampling,
        n=body.n,
        priority=body.priority_level,
    )
    kind = "chat.completion.chunk" if body.stream else "chat.completion"
    head = envelope(kind, "chatcmpl", serving.picked.id)
    return await _answer(serving, request, body, events, job, head, merge_chat)


async def _answer(
    serving: Serving,
    request: Request,
    body: CompletionBody | ChatBody,
    events: JobEvents,
    job: Job,
    head: dict[str, Any],
    merge: Callable[[list[Choice], int], list[Choice]],
) -> Response:
    """Stream the job's chunks, or put them together. A client that goes away ends the job."""
    route = request.url.path
    followed = _counted(serving, route, events.follow(job, serving.scheduler))
    if body.stream:
        stream = _sse(followed, head)
        return StreamingResponse(stream, media_type="text/event-stream")

    async def collect() -> Response:
        choices: list[Choice] = []
        usage = Usage()
        try:
            async with contextlib.aclosing(followed) as parts:
                async for event in parts:
                    if isinstance(event, Usage):
                        usage = event
                    else:
                        choices.append(event)
        except JobFailed as error:
            return _error(str(error), error.status)
        merged = merge(choices, body.n)
        return JSONResponse({**head, "choices": merged, "usage": usage_fields(usage)})

    return await _unless_disconnected(request, collect) or Response(status_code=499)


async def _sse(
    followed: AsyncGenerator[Choice | Usage, None], head: dict[str, Any]
) -> AsyncGenerator[str, None]:
    """Server-sent events; the usage comes without choices: after the first token, and last."""
    async with contextlib.aclosing(followed) as parts:
        try:
            async for event in parts:
                if isinstance(event, Usage):
                    chunk = {**head, "choices": [], "usage": usage_fields(event)}
                else:
                    chunk = {**head, "choices": [event]}
                yield f"data: {json.dumps(chunk)}\n\n"
        except JobFailed as error:  # the status line is out: the stream must tell
            yield f"data: {json.dumps(_error_body(str(error), error.status))}\n\n"
    yield "data: [DONE]\n\n"


async def _counted(
    serving: Serving, route: str, followed: AsyncGenerator[Choice | Usage, None]
) -> AsyncGenerator[Choice | Usage, None]:
    """Count the request by how it ended."""
    outcome, usage = "cancelled", None
    serving.num_running += 1
    try:
        async with contextlib.aclosing(followed) as parts:
            async for event in parts:
                if isinstance(event, Usage):
                    usage = event
                yield event
        outcome = "ok"
    except Exception:
        outcome = "error"
        raise
    finally:
        serving.num_running -= 1
        serving.last_request = time.monotonic()
        serving.metrics.count_request(route, outcome, usage)


_T = TypeVar("_T")


async def _unless_disconnected(request: Request, work: Callable[[], Awaitable[_T]]) -> _T | None:
    """The result of `work`, None if the client went away first; `work` is then cancelled."""
    result: list[_T] = []

    async def watch(scope: anyio.CancelScope) -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        scope.cancel()

    async with anyio.create_task_group() as group:
        group.start_soon(watch, group.cancel_scope)
        result.append(await work())
        group.cancel_scope.cancel()
    return result[0] if result else None


async def _models(serving: Serving, request: Request) -> Response:
    picked = serving.picked
    entry = {
        "id": picked.id,
        "object": "model",
        "owned_by": "inkling",
        "root": str(picked.root),
        "max_model_len": serving.context_len,
        "inkling": {
            "kind": picked.kind,
            "device": picked.device,
            "description": picked.description,
            "pid": serving.pid,
        },
    }
    return JSONResponse({"object": "list", "data": [entry]})


async def _health(serving: Serving, request: Request) -> Response:
    return JSONResponse({"status": "ok", "model": serving.picked.id, "pid": serving.pid})


async def _metrics(serving: Serving, request: Request) -> Response:
    queue = {priority: serving.scheduler.queue_len(priority) for priority in Priority}
    text = serving.metrics.render(queue, serving.cache.num_pages_used)
    return Response(text, media_type="text/plain; version=0.0.4")


async def _parse(serving: Serving, request: Request, kind: type[_BodyT]) -> _BodyT:
    serving.last_request = time.monotonic()
    try:
        body = kind.model_validate_json(await request.body())
    except ValidationError as error:
        raise BadRequest(first_problem(error.errors()), 422) from None
    if body.model not in (None, serving.picked.id):
        raise BadRequest(
            f"no model {body.model!r} here: this engine serves {serving.picked.id!r}.", 404
        )
    return body


def _check_prompt(serving: Serving, prompt: list[int]) -> None:
    if not prompt:
        raise BadRequest("the prompt is empty: send at least one token.")
    size = serving.tokenizer.vocab_size
    if not _are_all_below(size, prompt):
        bad = next(id_ for id_ in prompt if not 0 <= id_ < size)
        raise BadRequest(f"token id {bad} is outside the vocabulary of {size}.")
    if len(prompt) >= serving.context_len:
        raise BadRequest(
            f"the prompt has {len(prompt)} tokens and the context {serving.context_len}: shorten "
            "the prompt, or raise engine.context_len as far as the model takes it.",
            413,
        )


def _are_all_below(size: int, token_ids: list[int]) -> bool:
    """Whether all are in `range(size)`, without a loop: a prompt has thousands."""
    try:
        as_array = np.array(array("I", token_ids))
    except OverflowError:  # negative, or more than 32 bits
        return False
    return bool(as_array.max() < size)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, BadRequest)
    return _error(str(error), error.status)


async def _no_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    sentence = f"{request.method} {request.url.path}: {error.detail.lower()}; see /v1/models."
    return _error(sentence, error.status_code)


def _error(message: str, status: int) -> Response:
    return JSONResponse(_error_body(message, status), status_code=status)


def _error_body(message: str, status: int) -> dict[str, Any]:
    kind = "invalid_request_error" if status < 500 else "server_error"
    return {"error": {"message": message, "type": kind, "code": status}}
