"""Related code for a prompt: what the names near the cursor mean, and code like it.

    what                         from                                       share
    definitions of names         what the document imports, then the index  40 %
    what was edited last         other open documents                       20 %
    the test of a source file    the index (and the source of a test)       15 %
    code that shares rare names  open documents, neighbours, the index      what is left

In this order, so that what changes least stands first in the prompt. Reads files and the index: call
it in a thread. Nothing comes from the document itself.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from inkling.context.chunks import names_near, rank_chunks
from inkling.context.definitions import definitions, enclosing
from inkling.context.languages import LANGUAGE_OF_EXTENSION, LANGUAGES
from inkling.context.neighbours import neighbours, path_of, read_source
from inkling.context.skeleton import definitions_of, skeleton
from inkling.context.syntax import SyntaxTree
from inkling.core import Chunk, DocumentSnapshot
from inkling.workspace.imports import imported_files
from inkling.workspace.workspace import Workspace

DEFINITIONS_SHARE = 0.40
RECENT_SHARE = 0.20
PAIR_SHARE = 0.15
# Files with definitions of near names, and definitions of one file, that are looked at.
MAX_FILES = 12
MAX_OF_FILE = 8
MAX_SIMILAR_FILES = 8
MAX_PAIR_CHUNKS = 2
# Similar chunks: at least so many are tried, and one for each so many characters.
MIN_SIMILAR = 4
CHUNK_CHARS = 600


def related_code(
    document: DocumentSnapshot,
    offset: int,
    tree: SyntaxTree | None,
    others: Iterable[DocumentSnapshot],
    recent: Iterable[Chunk],
    workspace: Workspace | None,
    room: int,
) -> tuple[Chunk, ...]:
    """Chunks for a cursor at `offset`, best first within each kind.

    `others` are open documents, `recent` pieces of them that were edited last, newest first; `room`
    is what all chunks together may take, in characters.
    """
    near = names_near(document.text, offset)
    own = definitions(tree) if tree is not None else ()
    # Blank lines at its end are not part of a definition yet.
    around = enclosing(own, document.text[:offset].rstrip().count("\n"))
    headers = (names_near(it.signature, 0) for it in around)  # base classes, parameters' types
    wanted = near.union(*headers).difference(it.name for it in own)
    chunks = _Chunks(document.path, room)
    chunks.add(_definitions(document, tree, wanted, workspace), DEFINITIONS_SHARE)
    chunks.add(recent, RECENT_SHARE)
    chunks.add(_pair(document, offset, workspace), PAIR_SHARE)
    similar = (*others, *neighbours(document, tree), *_similar(document, near, workspace))
    unique = {it.path: it for it in reversed(similar) if it.path != document.path}
    num_similar = max(MIN_SIMILAR, room // CHUNK_CHARS)
    found = rank_chunks(document.text, offset, tuple(reversed(unique.values())), num_similar)
    chunks.add(found, 1.0)
    return tuple(chunks.kept)


class _Chunks:
    """Chunks that fit, none of them twice."""

    def __init__(self, own_path: str, room: int) -> None:
        self.kept: list[Chunk] = []
        self._own_path = own_path
        self._room = room
        self._left = room

    def add(self, chunks: Iterable[Chunk], share: float) -> None:
        """Keep of one kind what fits into its share and into what is left of all."""
        left = min(self._left, int(self._room * share))
        for chunk in chunks:
            size = len(chunk.text) + len(chunk.path)
            if size <= left and chunk.path != self._own_path and not self._is_known(chunk):
                self.kept.append(chunk)
                left -= size
                self._left -= size

    def _is_known(self, chunk: Chunk) -> bool:
        """Whether most of its lines are in the prompt already."""
        lines = {line.strip() for line in chunk.text.split("\n") if line.strip()}
        for other in self.kept:
            if other.path == chunk.path:
                lines -= {line.strip() for line in other.text.split("\n")}
        return not lines


def _definitions(
    document: DocumentSnapshot,
    tree: SyntaxTree | None,
    wanted: frozenset[str],
    workspace: Workspace | None,
) -> Iterator[Chunk]:
    """One chunk for each file that defines wanted names: imported ones first."""
    file, syntax = path_of(document.uri), LANGUAGES.get(document.language)
    if file is None or syntax is None or workspace is None:
        return
    names_of: dict[Path, set[str]] = {}
    for imported in imported_files(tree, file, workspace.root) if tree is not None else ():
        meant = wanted.intersection(imported.names) if imported.names else wanted
        if meant:
            names_of[imported.path] = set(meant)
    known = {name for names in names_of.values() if len(names) < len(wanted) for name in names}
    for symbol in workspace.index.symbols(sorted(wanted - known), syntax.family):
        path = workspace.root / symbol.path
        if len(names_of) < MAX_FILES or path in names_of:
            names_of.setdefault(path, set()).add(symbol.name)
    names_of.pop(file, None)
    for path, names in names_of.items():
        if chunk := _skeletons(path, names, workspace):
            yield chunk


def _skeletons(path: Path, names: set[str], workspace: Workspace) -> Chunk | None:
    """What a file says of some names that it defines."""
    source = read_source(path, workspace.root)
    if source is None:
        return None
    found = definitions_of(source.language, source.text)
    lines = source.text.split("\n")
    meant = [it for it in found if it.name in names and it.kind != "variable"][:MAX_OF_FILE]
    text = "\n".join(skeleton(lines, found, it) for it in meant)
    return Chunk(source.path, text) if text else None


def _pair(
    document: DocumentSnapshot, offset: int, workspace: Workspace | None
) -> tuple[Chunk, ...]:
    """The likest pieces of a source file's test, or of a test's source file."""
    path = workspace.index.test_pair(document.path) if workspace is not None else None
    if workspace is None or path is None:
        return ()
    pair = read_source(workspace.root / path, workspace.root)
    return rank_chunks(document.text, offset, (pair,), MAX_PAIR_CHUNKS) if pair else ()


def _similar(
    document: DocumentSnapshot, near: frozenset[str], workspace: Workspace | None
) -> Iterator[DocumentSnapshot]:
    """Files anywhere in the workspace that share the rarest names near the cursor."""
    syntax = LANGUAGES.get(document.language)
    if workspace is None or syntax is None:
        return
    for path in workspace.index.similar_files(sorted(near), syntax.family, MAX_SIMILAR_FILES):
        if Path(path).suffix in LANGUAGE_OF_EXTENSION:
            source = read_source(workspace.root / path, workspace.root)
            if source is not None:
                yield source
