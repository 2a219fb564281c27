"""Files around a document that may hold what its names mean: those it imports, then its folder's.

Reads the disk: call it in a thread. What was read is kept until the file changes.
"""

import re
from itertools import islice
from pathlib import Path
from urllib.parse import unquote, urlparse

from inkling.context.languages import LANGUAGE_OF_EXTENSION
from inkling.core import DocumentSnapshot
from inkling.silence import is_secret

MAX_FILES = 24
MAX_BYTES = 100_000

_PYTHON_IMPORT = re.compile(
    r"^[ \t]*(?:from\s+(\.*[\w.]*)\s+import|import\s+([\w.]+))", re.MULTILINE
)
_ECMASCRIPT_IMPORT = re.compile(r"""(?:from|import|require\()\s*["'](\.{1,2}/[^"']+)["']""")

_cache: dict[Path, tuple[int, str]] = {}


def path_of(uri: str) -> Path | None:
    """The file a `file:` URI names, None for any other URI."""
    parts = urlparse(uri)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None


def neighbours(document: DocumentSnapshot, limit: int = MAX_FILES) -> tuple[DocumentSnapshot, ...]:
    """Up to `limit` source files of the document's language family: imported ones first."""
    file = path_of(document.uri)
    if file is None or document.language not in LANGUAGE_OF_EXTENSION.values():
        return ()
    family = _family(document.language)
    found: dict[Path, None] = {}
    for candidate in _imported(document, file):
        found.setdefault(candidate)
    for candidate in _in_folder(file.parent):
        if _family(LANGUAGE_OF_EXTENSION.get(candidate.suffix, "")) == family:
            found.setdefault(candidate)
    found.pop(file, None)
    root = _root_of(document, file)
    open_to_all = (candidate for candidate in found if not is_secret(candidate.name))
    snapshots = (_read(candidate, root) for candidate in islice(open_to_all, limit * 2))
    return tuple(snapshot for snapshot in snapshots if snapshot is not None)[:limit]


def _family(language: str) -> str:
    return "python" if language == "python" else "ecmascript" if language else ""


def _root_of(document: DocumentSnapshot, file: Path) -> Path:
    """The folder that `document.path` is relative to."""
    depth = len(Path(document.path).parts)
    return file.parents[min(depth, len(file.parents)) - 1]


def _in_folder(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.suffix in LANGUAGE_OF_EXTENSION)
    except OSError:
        return []


def _imported(document: DocumentSnapshot, file: Path) -> list[Path]:
    found = []
    if document.language == "python":
        root = _root_of(document, file)
        for relative, absolute in _PYTHON_IMPORT.findall(document.text):
            name = relative or absolute
            dots = len(name) - len(name.lstrip("."))
            base = file.parents[dots - 1] if 0 < dots <= len(file.parents) else root
            found += _module_files(base.joinpath(*name.strip(".").split(".")))
    else:
        for name in _ECMASCRIPT_IMPORT.findall(document.text):
            target = (file.parent / name).resolve()
            found += [target] if target.suffix in LANGUAGE_OF_EXTENSION else []
            found += [target.with_name(target.name + end) for end in (".ts", ".tsx", ".js")]
            found += [target / f"index{end}" for end in (".ts", ".js")]
    return [path for path in found if path.is_file()]


def _module_files(base: Path) -> list[Path]:
    return [base.with_name(base.name + ".py"), base / "__init__.py"] if base.name else []


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
