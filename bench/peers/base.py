"""What every engine under measurement offers, and what it is measured with."""

import importlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True)
class Shapes:
    """A gpt-oss model by its sizes."""

    layers: int = 24
    hidden: int = 2880
    intermediate: int = 2880
    heads: int = 64
    kv_heads: int = 8
    head_dim: int = 64
    experts: int = 32
    experts_per_token: int = 4
    window: int = 128
    vocab: int = 201_088


GPT_OSS_20B = Shapes()
# For a dry run without a GPU: every part is there, none is large. Head size as in the real model.
TINY = Shapes(layers=2, hidden=128, intermediate=96, heads=4, kv_heads=2, experts=8)


@dataclass(frozen=True)
class Timing:
    """One completion: `tokens` of them, the first after `ttft_ms`, the last after `total_ms`.
    `reused`: prompt tokens that were not computed again, None where the engine does not say."""

    ttft_ms: float
    total_ms: float
    tokens: int
    reused: int | None = None


@dataclass(frozen=True)
class Step:
    """One request of the trace (`bench/trace.py` writes them)."""

    kind: str
    what: str
    token_ids: list[int]
    healing: int


class Peer(Protocol):
    """One engine, loaded once, asked one request at a time, greedily."""

    name: str
    # How many of the trace's typed keys are replayed; None: all. For engines that take seconds a key.
    max_keys: int | None

    def start(self, folder: Path | None, shapes: Shapes) -> None:
        """Load. `folder` is what the engine needs on disk: a model, or a place to write one to."""
        ...

    def complete(self, token_ids: list[int], max_tokens: int, healing: int) -> Timing:
        """Complete a prompt by up to `max_tokens` tokens. Only our engine heals."""
        ...

    def close(self) -> None:
        """Free the GPU."""
        ...


def module(name: str) -> Any:
    """A package that only some machines have. Raises ModuleNotFoundError."""
    return importlib.import_module(name)


def common_len(one: list[int], other: list[int]) -> int:
    """How many tokens two prompts share at their start."""
    for index, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return index
    return min(len(one), len(other))


def read_steps(trace: Path) -> list[Step]:
    """The steps of a trace's JSON file."""
    return [Step(**step) for step in json.loads(trace.read_bytes())]
