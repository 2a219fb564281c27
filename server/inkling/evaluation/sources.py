"""The source files of a repository that holes may be punched into. Reads the disk."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from inkling.context.languages import LANGUAGE_OF_EXTENSION
from inkling.errors import InklingError
from inkling.silence import is_secret

MAX_BYTES = 200_000
# Longer lines (characters) are data, or code that a tool has written in one.
MAX_LINE = 1000
_OTHERS_FOLDERS = frozenset(
    {"__pycache__", "build", "dist", "node_modules", "site-packages", "target", "third_party"}
    | {"vendor", "vendored"}
)
_GENERATED = re.compile(r"@generated|\bgenerated (?:by|from|code)\b|\bdo not edit\b", re.IGNORECASE)
_GENERATED_REACH = 500  # characters: where files say so


class NothingToEvaluate(InklingError):
    """A repository without a source file, or without a place for a hole."""


@dataclass(frozen=True)
class Source:
    """One file. `path` is relative to the repository, with forward slashes; lines end in `\\n`."""

    path: str
    language: str
    text: str


def read_sources(root: Path) -> list[Source]:
    """The files written by hand in languages with a grammar, by path.

    Left out: hidden folders, virtual environments, what others wrote (`node_modules`, …), and files
    that are huge, generated, minified, secret or not UTF-8. Raises NothingToEvaluate.
    """
    if not root.is_dir():
        raise NothingToEvaluate(f"{root} is no folder: name a repository with --repo.")
    sources = [source for file in _files(root) if (source := _read(root, file)) is not None]
    if not sources:
        raise NothingToEvaluate(f"{root} has no source file in a language with a grammar.")
    return sources


def _files(root: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(root):
        here = Path(folder)
        folders[:] = sorted(name for name in folders if _is_ours(here / name))
        yield from (here / name for name in sorted(names))


def _is_ours(folder: Path) -> bool:
    name = folder.name
    if name.startswith(".") or name in _OTHERS_FOLDERS or name.endswith(".egg-info"):
        return False
    return not (folder / "pyvenv.cfg").exists()


def _read(root: Path, file: Path) -> Source | None:
    language = LANGUAGE_OF_EXTENSION.get(file.suffix)
    if language is None or is_secret(file.name) or ".min." in file.name:
        return None
    try:
        if file.is_symlink() or file.stat().st_size > MAX_BYTES:
            return None
        text = file.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None
    if _GENERATED.search(text, 0, _GENERATED_REACH):
        return None
    if max(map(len, text.split("\n"))) > MAX_LINE:
        return None
    return Source(file.relative_to(root).as_posix(), language, text)
