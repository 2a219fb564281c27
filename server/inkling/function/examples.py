"""The functions of the repository that are most like a described one: how it is done here.

Reads the index and files: call it in a thread.
"""

from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from inkling.context.languages import LANGUAGE_OF_EXTENSION, LANGUAGES
from inkling.context.neighbours import read_source
from inkling.context.skeleton import definitions_of
from inkling.core import Chunk, DocumentSnapshot
from inkling.workspace.facts import Symbol
from inkling.workspace.words import words_of
from inkling.workspace.workspace import Workspace

NUM_EXAMPLES = 2
MAX_LINES = 40
# Words of a description that are looked for, and functions that are compared by them.
_MAX_WORDS = 16
_MAX_CANDIDATES = 256


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
    scored = workspace.index.functions(wanted, syntax.family, _MAX_CANDIDATES)
    found: list[Chunk] = []
    for symbol in _ranked(scored, document.path):
        chunk = _source(symbol, workspace)
        if chunk is not None and len(chunk.text) + len(chunk.path) <= room and chunk not in found:
            found.append(chunk)
            room -= len(chunk.text) + len(chunk.path)
        if len(found) == NUM_EXAMPLES:
            break
    return tuple(found)


def _ranked(scored: Iterable[tuple[float, Symbol]], path: str) -> list[Symbol]:
    """The symbols of other files, best first. Tests are examples for tests only."""
    is_test = "test" in PurePosixPath(path).name.lower()

    def key(it: tuple[float, Symbol]) -> tuple[float, int, str, int]:
        score, symbol = it
        return -score, _distance(symbol.path, path), symbol.path, symbol.first_line

    usable = (it for it in scored if it[1].path != path and (is_test or not _is_test(it[1])))
    return [symbol for _, symbol in sorted(usable, key=key)]


def _is_test(symbol: Symbol) -> bool:
    return symbol.name.lower().startswith("test")


def _distance(path: str, other: str) -> int:
    """How many folders lie between two files."""
    ours, theirs = path.split("/")[:-1], other.split("/")[:-1]
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
