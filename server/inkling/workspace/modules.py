"""What modules are made of, for those who follow imports; files are read once until they change."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tree_sitter import Node, Query, QueryCursor

from inkling.context.definitions import definitions
from inkling.context.languages import LANGUAGE_OF_EXTENSION, load_grammar
from inkling.context.syntax import SyntaxTree, parse
from inkling.workspace.facts import Stamp

# Larger modules are not looked into: parsing takes 20 ms for 100 kB.
MAX_BYTES = 200_000
_MAX_CACHED = 128


@dataclass(frozen=True)
class Imported:
    """A file that is imported, and the names in it that are meant; without any, all of it."""

    path: Path
    names: tuple[str, ...]


@dataclass(frozen=True)
class ImportStatement:
    """`names` are pairs: what it is called in the module, what here. None are given when the module
    as a whole is meant, or, `is_all`, each of its names."""

    module: str
    names: tuple[tuple[str, str], ...] = ()
    is_all: bool = False


@dataclass(frozen=True)
class Module:
    """What a file defines itself, and what it imports from others."""

    defined: frozenset[str]
    statements: tuple[ImportStatement, ...]


_cache: dict[Path, tuple[Stamp, Module]] = {}


def module_at(
    file: Path, statements: Callable[[SyntaxTree], tuple[ImportStatement, ...]]
) -> Module | None:
    """What is in a file, None if it cannot be read or is too large."""
    try:
        status = file.stat()
        stamp = Stamp(status.st_mtime_ns, status.st_size)
        held = _cache.get(file)
        if held is not None and held[0] == stamp:
            return held[1]
        if status.st_size > MAX_BYTES:
            return None
        tree = parse(LANGUAGE_OF_EXTENSION[file.suffix], file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if tree is None:
        return None
    module = Module(frozenset(it.name for it in definitions(tree)), statements(tree))
    _cache[file] = stamp, module
    while len(_cache) > _MAX_CACHED:
        _cache.pop(next(iter(_cache)), None)
    return module


def is_file(path: Path) -> bool:
    """Whether there is a file; a name too long to be one is none."""
    try:
        return path.is_file()
    except OSError:
        return False


def is_folder(path: Path) -> bool:
    """Whether there is a folder; a name too long to be one is none."""
    try:
        return path.is_dir()
    except OSError:
        return False


def captured(tree: SyntaxTree, query: str) -> list[Node]:
    """The nodes that a query with one capture finds, in the order of the file."""
    compiled = _compiled(tree.language.grammar, query)
    found = QueryCursor(compiled).captures(tree.tree.root_node) if compiled is not None else {}
    nodes = [node for of_one in found.values() for node in of_one]
    return sorted(nodes, key=lambda node: node.start_byte)


def text_of(node: Node) -> str:
    """The text of a node."""
    return (node.text or b"").decode("utf-8", errors="replace")


@cache
def _compiled(grammar: str, query: str) -> Query | None:
    language = load_grammar(grammar)
    return Query(language, query) if language is not None else None
