"""Jobs seen from the event loop: what the engine thread emits, as OpenAI's choices and chunks."""

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncGenerator, Callable
from dataclasses import asdict
from typing import Any

from inkling.core import Usage
from inkling.engine.harmony import ChannelReader
from inkling.engine.job import Begun, Done, Event, Failed, Finished, Job, Token
from inkling.engine.kv import CacheFull
from inkling.engine.metrics import Metrics
from inkling.engine.scheduler import Scheduler
from inkling.engine.text import TextStream
from inkling.errors import InklingError
from inkling.tokenizer import Tokenizer

Choice = dict[str, Any]


class JobFailed(InklingError):
    """A job ended with an error of the model's or of the cache's, `status` 503 where it may pass."""

    def __init__(self, error: Exception) -> None:
        is_ours = isinstance(error, InklingError)
        super().__init__(str(error) if is_ours else f"the engine failed: {error!r}")
        self.status = 503 if isinstance(error, CacheFull) else 500


class JobEvents:
    """The events of one job, from the engine thread to the event loop."""

    def __init__(
        self, to_choice: Callable[[Token | Finished], tuple[Choice | None, bool]], metrics: Metrics
    ) -> None:
        """`to_choice` runs on the engine thread, so that a stop string ends decoding at once: it
        returns a chunk's choice (None: nothing to send yet) and whether to stop."""
        self._to_choice = to_choice
        self._metrics = metrics
        self._last_token: tuple[int, float] | None = None  # completion index, when
        self._loop = asyncio.get_running_loop()
        self._events: asyncio.Queue[Choice | Begun | Done | Failed] = asyncio.Queue()

    def emit(self, event: Event) -> bool:
        """`Job.emit`."""
        is_stopped = False
        out: Choice | Begun | Done | Failed | None
        if isinstance(event, (Begun, Done, Failed)):
            out = event
        else:
            self._observe(event)
            out, is_stopped = self._to_choice(event)
        if out is not None:
            with contextlib.suppress(RuntimeError):  # the loop has closed: nobody listens
                self._loop.call_soon_threadsafe(self._events.put_nowait, out)
        return is_stopped

    def _observe(self, event: Token | Finished) -> None:
        """Time between tokens, pauses for more urgent jobs included: what the client waits."""
        if isinstance(event, Token):
            now = time.monotonic()
            if self._last_token and self._last_token[0] == event.index:
                self._metrics.observe_inter_token(now - self._last_token[1])
            self._last_token = event.index, now

    async def follow(self, job: Job, scheduler: Scheduler) -> AsyncGenerator[Choice | Usage, None]:
        """Submit the job; its choices as they come, its usage after the first token and at last.
        Leaving cancels the job.

        Raises JobFailed.
        """
        scheduler.submit(job)
        try:
            while True:
                event = await self._events.get()
                if isinstance(event, Failed):
                    raise JobFailed(event.error)
                yield event.usage if isinstance(event, (Begun, Done)) else event
                if isinstance(event, Done):
                    return
        finally:
            job.cancel()


class CompletionChoices:
    """Tokens → the choices of `/v1/completions`. Engine thread."""

    def __init__(self, n: int, stop: tuple[str, ...], tokenizer: Tokenizer) -> None:
        self._texts = [TextStream(stop) for _ in range(n)]
        self._tokenizer = tokenizer

    def __call__(self, event: Token | Finished) -> tuple[Choice | None, bool]:
        stream = self._texts[event.index]
        if isinstance(event, Finished):
            return self._choice(event.index, stream.flush(), [], event.reason), False
        text = stream.feed(event.data)
        choice = self._choice(event.index, text, [event.choice.token_id], None)
        if event.choice.logprob is not None:
            choice["logprobs"] = self._logprobs(event)
        return choice, stream.is_stopped

    def _choice(self, index: int, text: str, ids: list[int], reason: str | None) -> Choice:
        return {
            "index": index,
            "text": text,
            "token_ids": ids,
            "logprobs": None,
            "finish_reason": reason,
        }

    def _logprobs(self, event: Token) -> dict[str, Any]:
        decode = self._tokenizer.decode
        top = {decode([id_]): logprob for id_, logprob in event.choice.top}
        token = decode([event.choice.token_id])
        return {"tokens": [token], "token_logprobs": [event.choice.logprob], "top_logprobs": [top]}


class ChatChoices:
    """Tokens → the deltas of `/v1/chat/completions`; analysis is kept apart. Engine thread."""

    def __init__(self, n: int, stop: tuple[str, ...], tokenizer: Tokenizer) -> None:
        self._readers = [ChannelReader(tokenizer) for _ in range(n)]
        self._finals = [TextStream(stop) for _ in range(n)]
        self._analyses = [TextStream(()) for _ in range(n)]

    def __call__(self, event: Token | Finished) -> tuple[Choice | None, bool]:
        index = event.index
        final = self._finals[index]
        delta: dict[str, str] = {}
        if isinstance(event, Finished):
            if text := final.flush():
                delta["content"] = text
            return {"index": index, "delta": delta, "finish_reason": event.reason}, False
        channel = self._readers[index].read(event.choice.token_id)
        if channel == "final" and (text := final.feed(event.data)):
            delta["content"] = text
        if channel == "analysis" and (text := self._analyses[index].feed(event.data)):
            delta["reasoning_content"] = text
        choice = {"index": index, "delta": delta, "finish_reason": None} if delta else None
        return choice, final.is_stopped


def envelope(kind: str, prefix: str, model: str) -> dict[str, Any]:
    """What every chunk of one answer begins with."""
    return {
        "id": f"{prefix}-{uuid.uuid4().hex}",
        "object": kind,
        "created": int(time.time()),
        "model": model,
    }


def usage_fields(usage: Usage) -> dict[str, Any]:
    """OpenAI's counts and ours."""
    return {**asdict(usage), "total_tokens": usage.prompt_tokens + usage.completion_tokens}


def merge_completion(choices: list[Choice], n: int) -> list[Choice]:
    """The chunks of a completion put together, one choice for each index."""
    merged: list[Choice] = []
    for index in range(n):
        parts = [choice for choice in choices if choice["index"] == index]
        logprobs = [part["logprobs"] for part in parts if part["logprobs"]]
        merged.append(
            {
                "index": index,
                "text": "".join(part["text"] for part in parts),
                "token_ids": [id_ for part in parts for id_ in part["token_ids"]],
                "logprobs": {
                    key: [value for each in logprobs for value in each[key]] for key in logprobs[0]
                }
                if logprobs
                else None,
                "finish_reason": parts[-1]["finish_reason"] if parts else "length",
            }
        )
    return merged


def merge_chat(choices: list[Choice], n: int) -> list[Choice]:
    """The deltas of a chat answer put together, one message for each index."""
    merged: list[Choice] = []
    for index in range(n):
        parts = [choice for choice in choices if choice["index"] == index]
        message: dict[str, Any] = {"role": "assistant", "content": ""}
        for part in parts:
            for key, text in part["delta"].items():
                message[key] = message.get(key, "") + text
        reason = parts[-1]["finish_reason"] if parts else "length"
        merged.append({"index": index, "message": message, "finish_reason": reason})
    return merged
