"""Walk a workspace: which files belong into its index, and which folders to watch."""

import logging
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from inkling.context.languages import LANGUAGE_OF_EXTENSION
from inkling.silence import is_secret
from inkling.workspace.facts import Stamp
from inkling.workspace.ignore import IgnoreRules, rules_above

log = logging.getLogger(__name__)

MAX_FILES = 50_000
MAX_BYTES = 500_000
# Longer lines are data, or minified code.
MAX_LINE_LEN = 20_000
_HEAD = 8192  # bytes in which a binary file shows a NUL
# What lies in the top folder of a Python environment: it holds no code of the project.
_ENVIRONMENT_MARKS = frozenset({"pyvenv.cfg", "conda-meta"})


@dataclass
class Scan:
    """A workspace's files by their path (relative, with "/"), and the rules in each folder
    (absolute paths, those without files too)."""

    files: dict[str, Stamp] = field(default_factory=dict)
    folders: dict[str, IgnoreRules] = field(default_factory=dict)


def scan(root: Path, max_files: int = MAX_FILES) -> Scan:
    """All files of the index, each once: symbolic links are not followed. `root` is resolved."""
    found = Scan()
    for path, stamp in _files(str(root), rules_above(root), found.folders, is_root=True):
        if len(found.files) == max_files:
            log.warning("%s: only the first %d files are indexed.", root, max_files)
            break
        found.files[path[len(str(root)) :].lstrip("/")] = stamp
    return found


def stamp_of(path: str, rules: IgnoreRules) -> Stamp | None:
    """The stamp of a file in a folder with these rules, None if the index does not want it."""
    extension = os.path.splitext(path)[1]
    if extension not in LANGUAGE_OF_EXTENSION or is_secret(path) or rules.ignores_file(path):
        return None
    try:
        status = os.lstat(path)
    except OSError:
        return None
    is_code = stat.S_ISREG(status.st_mode) and status.st_size <= MAX_BYTES
    return Stamp(status.st_mtime_ns, status.st_size) if is_code else None


def read_code(file: Path) -> str | None:
    """A file's text, None if it is gone, binary, not UTF-8, or has lines of data."""
    try:
        content = file.read_bytes()
        text = content.decode("utf-8-sig").replace("\r\n", "\n")
    except (OSError, UnicodeDecodeError):
        return None
    if b"\0" in content[:_HEAD] or len(content) > MAX_BYTES:
        return None
    if len(content) > MAX_LINE_LEN and max(map(len, text.split("\n"))) > MAX_LINE_LEN:
        return None
    return text


def language_of(path: str) -> str:
    """The language id of a file of the index."""
    return LANGUAGE_OF_EXTENSION[PurePosixPath(path).suffix]


def _files(
    folder: str, rules: IgnoreRules, folders: dict[str, IgnoreRules], is_root: bool = False
) -> Iterator[tuple[str, Stamp]]:
    try:
        with os.scandir(folder) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
    except OSError:
        return
    if not is_root and any(entry.name in _ENVIRONMENT_MARKS for entry in entries):
        return
    rules = folders[folder] = rules.within(folder)
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            if not rules.ignores_folder(entry.path):
                yield from _files(entry.path, rules, folders)
        elif stamp := stamp_of(entry.path, rules):
            yield entry.path, stamp
