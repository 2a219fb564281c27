"""Files around a document that may hold what its names mean: those it imports, then its folder's.

Reads the disk: call it in a thread. What was read is kept until the file changes.
"""

from functools import cache
from itertools import islice
from pathlib import Path
from urllib.parse import unquote, urlparse

from inkling.context.languages import LANGUAGE_OF_EXTENSION, LANGUAGES
from inkling.context.syntax import SyntaxTree
from inkling.core import DocumentSnapshot
from inkling.silence import is_secret
from inkling.workspace.imports import imported_files

MAX_FILES = 24
MAX_BYTES = 200_000
# Folders of installed packages.
_INSTALLED = frozenset({"site-packages", "node_modules"})

_cache: dict[Path, tuple[int, str]] = {}


def path_of(uri: str) -> Path | None:
    """The file a `file:` URI names, None for any other URI."""
    parts = urlparse(uri)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None


def neighbours(
    document: DocumentSnapshot, tree: SyntaxTree | None, limit: int = MAX_FILES
) -> tuple[DocumentSnapshot, ...]:
    """Up to `limit` source files of the document's language family: imported ones first.

    `tree` is the parsed document; without one, what it imports is not known.
    """
    file = path_of(document.uri)
    syntax = LANGUAGES.get(document.language)
    if file is None or syntax is None:
        return ()
    endings = _endings(syntax.family)
    root = _root_of(document, file)
    imported = imported_files(tree, file, root, installed=False) if tree is not None else ()
    found = dict.fromkeys(it.path for it in imported)
    found |= dict.fromkeys(_in_folder(file.parent, endings))
    found.pop(file, None)
    open_to_all = (candidate for candidate in found if not is_secret(candidate.name))
    snapshots = (read_source(candidate, root) for candidate in islice(open_to_all, limit * 2))
    return tuple(snapshot for snapshot in snapshots if snapshot is not None)[:limit]


@cache
def _endings(family: str) -> tuple[str, ...]:
    """The extensions of a language family's files."""
    return tuple(
        extension
        for extension, language in LANGUAGE_OF_EXTENSION.items()
        if LANGUAGES[language].family == family
    )


def _root_of(document: DocumentSnapshot, file: Path) -> Path:
    """The folder that `document.path` is relative to."""
    depth = len(Path(document.path).parts)
    return file.parents[min(depth, len(file.parents)) - 1]


def _in_folder(folder: Path, endings: tuple[str, ...]) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.suffix in endings)
    except OSError:
        return []


def read_source(file: Path, root: Path) -> DocumentSnapshot | None:
    """A source file as it is on disk, None if it cannot be read or is too large. Its path is shown
    relative to `root`, or to the folder of installed packages that it lies in."""
    try:
        status = file.stat()
        if status.st_size > MAX_BYTES:
            return None
        held = _cache.get(file)
        if held is None or held[0] != status.st_mtime_ns:
            held = _cache[file] = (status.st_mtime_ns, file.read_text(encoding="utf-8"))
            while len(_cache) > 256:
                _cache.pop(next(iter(_cache)), None)
    except (OSError, ValueError):
        return None
    installed = next((it for it in file.parents if it.name in _INSTALLED), None)
    base = installed or (root if file.is_relative_to(root) else file.parent)
    name = file.relative_to(base)
    language = LANGUAGE_OF_EXTENSION[file.suffix]
    return DocumentSnapshot(file.as_uri(), name.as_posix(), language, held[1], 0)
