"""One request as the engine thread sees it: token ids and numbers, no text."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from inkling.core import Priority, Usage
from inkling.engine.sampling import Choice, Sampling


@dataclass(frozen=True)
class Token:
    """A chosen token of completion `index`. `data` are its bytes, less what only repeats the
    prompt's healed end."""

    index: int
    choice: Choice
    data: bytes


@dataclass(frozen=True)
class Begun:
    """The first token is out: what the request has cost up to there, for those who will not wait."""

    usage: Usage


@dataclass(frozen=True)
class Finished:
    """Completion `index` is over: "stop" or "length"."""

    index: int
    reason: str


@dataclass(frozen=True)
class Done:
    """The whole request is over."""

    usage: Usage


@dataclass(frozen=True)
class Failed:
    """The request ended with an error; the engine goes on."""

    error: Exception


Event = Token | Begun | Finished | Done | Failed


@dataclass(eq=False)
class Job:
    """A request in the queue.

    `emit` is called on the engine thread for each event; for a `Token` it returns True to end that
    completion (a stop string was met). `healing` is how many of the prompt's last tokens may be
    chosen again under the same bytes. `max_tokens` 0 only fills the KV cache. `cancel` may be
    called by any thread: the work stops within one decode step or prefill chunk.
    """

    prompt: list[int]
    emit: Callable[[Event], bool]
    max_tokens: int
    stop_ids: frozenset[int]
    sampling: Sampling = field(default_factory=Sampling)
    n: int = 1
    healing: int = 0
    priority: Priority = Priority.INTERACTIVE
    received: float = field(default_factory=time.monotonic)
    _cancelled: threading.Event = field(default_factory=threading.Event)

    def cancel(self) -> None:
        """Ask the engine thread to drop this job."""
        self._cancelled.set()

    @property
    def is_cancelled(self) -> bool:
        return self._cancelled.is_set()
