"""The types that the index's parts share: what is known of a file. Frozen, no logic."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Stamp:
    """By what a file shows that it changed."""

    mtime_ns: int
    size: int


@dataclass(frozen=True)
class Symbol:
    """A definition in a file of the workspace: `path` is relative to its root, lines count from 0.

    `name` is without what qualifies it (`add` for C++'s `shop::Order::add`). `kind` and `signature`
    are as in `context.definitions.Definition`, but a long signature is cut; `doc` is the first
    sentence about it, "" if there is none.
    """

    path: str
    name: str
    kind: str
    first_line: int
    last_line: int
    signature: str
    doc: str


@dataclass(frozen=True)
class Extract:
    """The code of one file: `names` are its words of three characters and more that could be
    identifiers."""

    language: str
    symbols: tuple[Symbol, ...]
    names: frozenset[str]


@dataclass(frozen=True)
class Entry:
    """What is to be known of one file; `extract` is None for one that holds no code to index."""

    path: str
    stamp: Stamp
    extract: Extract | None
