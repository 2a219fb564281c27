"""The types everything shares: frozen, no logic beyond properties. Read this file first.

Offsets are code points into `DocumentSnapshot.text`; UTF-16 exists only in `inkling.lsp`.
"""

from dataclasses import dataclass
from enum import Enum, IntEnum


class TriggerKind(Enum):
    """Why the editor asks: typing (`AUTOMATIC`) or a key for it (`INVOKED`)."""

    INVOKED = 1
    AUTOMATIC = 2


class Priority(IntEnum):
    """Order of the engine's queue: a lower value is served first."""

    INTERACTIVE = 0
    PREFETCH = 1
    IDLE = 2


class Extent(Enum):
    """How far a completion may reach: the rest of the line, or to where the block's syntax ends."""

    LINE = "line"
    BLOCK = "block"


@dataclass(frozen=True)
class DocumentSnapshot:
    """Immutable text of one document at request time.

    `path` is what the prompt shows: relative to the workspace where there is one, with forward
    slashes. `language` is the LSP language id ("python", "javascript", "typescriptreact", ...).
    """

    uri: str
    path: str
    language: str
    text: str
    version: int


@dataclass(frozen=True)
class Chunk:
    """A piece of another file put into the prompt."""

    path: str
    text: str


@dataclass(frozen=True)
class CompletionRequest:
    """One inline completion asked for at `offset` (code points) of `document`, and up to
    `num_alternatives` others of the same place. `others` are open documents, `recent` the pieces of
    them that were edited last, newest first."""

    document: DocumentSnapshot
    offset: int
    trigger: TriggerKind = TriggerKind.AUTOMATIC
    others: tuple[DocumentSnapshot, ...] = ()
    recent: tuple[Chunk, ...] = ()
    num_alternatives: int = 0


@dataclass(frozen=True)
class Usage:
    """What one generation cost the engine. Counts are tokens, `ttft_ms` milliseconds.

    `drafted` tokens were guessed from the text so far; the model would have chosen the `accepted`
    ones of them too.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    reused: int = 0
    prefilled: int = 0
    drafted: int = 0
    accepted: int = 0
    ttft_ms: float = 0.0


@dataclass(frozen=True)
class Completion:
    """Text to insert at `offset`, as far as it is known.

    Over the life of one stream `text` only grows, and whole `alternatives` are added behind those
    that are there. `is_final` marks the last state. An empty final completion carries the `silence`:
    why there is nothing to show.
    """

    id: str
    offset: int
    text: str
    is_final: bool
    silence: str = ""
    from_cache: bool = False
    usage: Usage | None = None
    alternatives: tuple["Completion", ...] = ()
