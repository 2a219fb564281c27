"""The functions of the repository that are most like a described one: how it is done here.

Reads the index and files: call it in a thread.
"""

import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from inkling.context.languages import LANGUAGE_OF_EXTENSION, LANGUAGES
from inkling.context.neighbours import read_source
from inkling.context.skeleton import definitions_of
from inkling.core import Chunk, DocumentSnapshot
from inkling.workspace.facts import Symbol
from inkling.workspace.workspace import Workspace

NUM_EXAMPLES = 2
MAX_LINES = 40
# Words of a description that are looked for, and functions that are compared by them.
_MAX_WORDS = 16
_MAX_CANDIDATES = 256

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_STOP_WORDS = frozenset(
    {"the", "and", "for", "from", "with", "that", "this", "into", "not", "all", "any", "its", "are"}
    | {"was", "has", "have", "will", "each", "which", "when", "where", "given", "new"}
    # What code says of everything.
    | {"return", "def", "func", "function", "self", "int", "str", "string", "bool", "none", "null"}
    | {"true", "false", "void", "async", "const", "let", "var", "export", "default", "public"}
    | {"private", "static", "class", "type", "list", "dict", "pass", "todo", "raise", "error"}
    | {"throw", "param", "implemented"}
)


def words_of(text: str) -> tuple[str, ...]:
    """What a description or a signature speaks of: lower-case words of three letters and more, names
    taken apart, without those that say nothing and without a plural's s; each once, in order."""
    words = (_stem(word.lower()) for word in _WORD.findall(text))
    return tuple(dict.fromkeys(it for it in words if len(it) > 2 and it not in _STOP_WORDS))


def similar_functions(
    description: str, document: DocumentSnapshot, workspace: Workspace, room: int
) -> tuple[Chunk, ...]:
    """Up to `NUM_EXAMPLES` whole functions of other files of the language family, likest first:
    those that share the rarest words of the description, the nearest of equals. At most `room`
    characters in all."""
    syntax = LANGUAGES.get(document.language)
    wanted = words_of(description)[:_MAX_WORDS]
    if syntax is None or not wanted:
        return ()
    weights, symbols = workspace.index.functions(wanted, syntax.family, _MAX_CANDIDATES)
    found: list[Chunk] = []
    for symbol in _ranked(symbols, weights, document.path):
        chunk = _source(symbol, workspace)
        if chunk is not None and len(chunk.text) + len(chunk.path) <= room and chunk not in found:
            found.append(chunk)
            room -= len(chunk.text) + len(chunk.path)
        if len(found) == NUM_EXAMPLES:
            break
    return tuple(found)


def _ranked(symbols: Iterable[Symbol], weights: dict[str, float], path: str) -> list[Symbol]:
    """The symbols that share words, best first. Tests are examples for tests only."""
    is_test = "test" in PurePosixPath(path).name.lower()

    def score(symbol: Symbol) -> float:
        said = (*words_of(f"{symbol.signature} {symbol.doc}"), *words_of(symbol.name))
        return sum(weights.get(word, 0.0) for word in said)  # a name, part of both, counts twice

    def key(symbol: Symbol) -> tuple[float, int, str, int]:
        return -score(symbol), _distance(symbol.path, path), symbol.path, symbol.first_line

    usable = (it for it in symbols if it.path != path and score(it) > 0)
    return sorted((it for it in usable if is_test or not _is_test(it)), key=key)


def _is_test(symbol: Symbol) -> bool:
    return symbol.name.lower().startswith("test")


def _distance(path: str, other: str) -> int:
    """How many folders lie between two files."""
    ours, theirs = PurePosixPath(path).parts[:-1], PurePosixPath(other).parts[:-1]
    shared = 0
    while shared < min(len(ours), len(theirs)) and ours[shared] == theirs[shared]:
        shared += 1
    return len(ours) + len(theirs) - 2 * shared


def _source(symbol: Symbol, workspace: Workspace) -> Chunk | None:
    """A function as it is on disk now; None if it is gone, or too long for an example."""
    file = workspace.root / symbol.path
    source = (
        read_source(file, workspace.root) if Path(file).suffix in LANGUAGE_OF_EXTENSION else None
    )
    if source is None:
        return None
    same = [it for it in definitions_of(source.language, source.text) if it.name == symbol.name]
    same = [it for it in same if it.kind == symbol.kind]
    if not same:
        return None
    now = min(same, key=lambda it: abs(it.first_line - symbol.first_line))
    lines = source.text.split("\n")[now.first_line : now.last_line + 1]
    return Chunk(source.path, "\n".join(lines)) if len(lines) <= MAX_LINES else None


def _stem(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
