"""Files around a document that may hold what its names mean: those it imports, then its folder's.

Reads the disk: call it in a thread. What was read is kept until the file changes.
"""

import re
from collections.abc import Iterator
from functools import cache
from itertools import islice
from pathlib import Path
from urllib.parse import unquote, urlparse

from inkling.context.definitions import imports
from inkling.context.languages import LANGUAGE_OF_EXTENSION, LANGUAGES
from inkling.context.syntax import SyntaxTree
from inkling.core import DocumentSnapshot
from inkling.silence import is_secret

MAX_FILES = 24
MAX_BYTES = 100_000

# What stands between the parts of a module's name, and parts that name no folder.
_SEPARATOR = re.compile(r"::|[.\\/]")
_ROOTS = frozenset({"", "crate", "self", "super"})

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
    found = dict.fromkeys(_imported(tree, file, root, endings)) if tree is not None else {}
    found |= dict.fromkeys(_in_folder(file.parent, endings))
    found.pop(file, None)
    open_to_all = (candidate for candidate in found if not is_secret(candidate.name))
    snapshots = (_read(candidate, root) for candidate in islice(open_to_all, limit * 2))
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


def _imported(tree: SyntaxTree, file: Path, root: Path, endings: tuple[str, ...]) -> Iterator[Path]:
    for name in imports(tree):
        if tree.language.family == "python":
            candidates = _python_modules(name, file, root)
        elif tree.language.family == "javascript":
            candidates = _ecmascript_modules(name, file) if name.startswith(".") else []
        else:
            candidates = list(_by_name(name, file, root, endings))
        yield from filter(_is_file, candidates)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name too long to be one
        return False


def _python_modules(name: str, file: Path, root: Path) -> list[Path]:
    dots = len(name) - len(name.lstrip("."))
    folder = file.parents[dots - 1] if 0 < dots <= len(file.parents) else root
    base = folder.joinpath(*name.strip(".").split("."))
    return [base.with_name(base.name + ".py"), base / "__init__.py"] if base.name else []


def _ecmascript_modules(name: str, file: Path) -> list[Path]:
    target = (file.parent / name).resolve()
    found = [target] if target.suffix in LANGUAGE_OF_EXTENSION else []
    found += [target.with_name(target.name + end) for end in (".ts", ".tsx", ".js")]
    return found + [target / f"index{end}" for end in (".ts", ".js")]


def _by_name(name: str, file: Path, root: Path, endings: tuple[str, ...]) -> Iterator[Path]:
    """Where a file or module of this name may be: beside the document or in a folder above it.

    The last part may be what is imported from the module rather than the module.
    """
    folders = [folder for folder in file.parents if folder.is_relative_to(root)]
    if name.endswith(endings):
        yield from ((folder / name.lstrip("/")).resolve() for folder in folders)
        return
    parts = [part for part in _SEPARATOR.split(name) if part not in _ROOTS]
    for used in (parts, parts[:-1]) if len(parts) > 1 else (parts,):
        for folder in folders if used else ():
            base = folder.joinpath(*used)
            yield from (base.with_name(base.name + end) for end in endings)


def _read(file: Path, root: Path) -> DocumentSnapshot | None:
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
    name = file.relative_to(root) if file.is_relative_to(root) else Path(file.name)
    language = LANGUAGE_OF_EXTENSION[file.suffix]
    return DocumentSnapshot(file.as_uri(), name.as_posix(), language, held[1], 0)
