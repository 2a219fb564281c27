"""Bring an index in line with the files of its workspace: once, then change by change."""

import logging
import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from watchfiles import Change
from watchfiles._rust_notify import RustNotify

from inkling.workspace.extract import read_entry
from inkling.workspace.extractor import entries_of
from inkling.workspace.ignore import GIT_FILE, OWN_FILE
from inkling.workspace.scan import Scan, scan, stamp_of
from inkling.workspace.store import IndexStore

log = logging.getLogger(__name__)

# All is looked at anew after this long: some changes cannot be watched (network drives).
RESCAN_S = 600
# The same where the system watches no more folders.
UNWATCHED_RESCAN_S = 60
# Changes are gathered while they keep coming, up to a limit. Idle wake-ups cost battery.
STEP_MS = 200
GATHER_MS = 2000


def follow(store: IndexStore, root: Path) -> None:
    """Index a workspace (a resolved path) and follow its changes until it is gone."""
    folders = scan(root).folders
    while root.is_dir():
        watcher = _watch(root, folders)
        if watcher is None:
            folders = update(store, root).folders
            time.sleep(UNWATCHED_RESCAN_S)
            continue
        with watcher:
            # What changed before the watch began is seen here, what changes later is reported.
            found = update(store, root)
            if found.folders.keys() == folders.keys():
                _follow_files(store, root, found, watcher)
        folders = found.folders


def update(store: IndexStore, root: Path) -> Scan:
    """Read what is new or changed, forget what is gone. Returns what there is."""
    found, known = scan(root), store.stamps()
    store.remove(known.keys() - found.files.keys())
    changed = [(path, stamp) for path, stamp in found.files.items() if known.get(path) != stamp]
    for entries in entries_of(root, changed):
        store.replace(entries)
    return found


def refresh(store: IndexStore, root: Path, found: Scan, paths: Iterable[str]) -> None:
    """Read these files again (absolute paths), or forget those that are gone or not wanted.

    Read even if their stamps are the same: clocks of file systems tick slowly.
    """
    entries, gone = [], []
    for path in sorted(paths):
        rules = found.folders.get(os.path.dirname(path))
        stamp = stamp_of(path, rules) if rules is not None else None
        relative = os.path.relpath(path, root)
        if stamp is not None:
            entries.append(read_entry(root, relative, stamp))
        else:
            gone.append(relative)
    store.remove(gone)
    store.replace(entries)


def _watch(root: Path, folders: Iterable[str]) -> RustNotify | None:
    """A watcher of these folders, None (logged) where the system allows no more.

    On Linux each folder alone: a watch on all below the root would take in node_modules, and the
    number of watches is limited. Elsewhere the system watches a whole tree as one.
    """
    is_recursive = sys.platform != "linux"
    paths = [str(root)] if is_recursive else [it for it in folders if os.path.isdir(it)]
    try:
        return RustNotify(paths, False, False, 0, is_recursive, True)
    except FileNotFoundError:  # a folder went this very moment
        return _watch(root, folders)
    except OSError as error:
        log.warning(
            "%s cannot be watched (%s): changes are seen after %d seconds; raise the system's limit "
            "of watches.",
            *(root, error, UNWATCHED_RESCAN_S),
        )
        return None


def _follow_files(store: IndexStore, root: Path, found: Scan, watcher: RustNotify) -> None:
    """Take in changes of files, until something changes that calls for a new look at all."""
    while True:
        changes = watcher.watch(GATHER_MS, STEP_MS, RESCAN_S * 1000, None)
        if not isinstance(changes, set):
            return
        if any(_concerns_folders(found, change, path) for change, path in changes):
            return
        refresh(store, root, found, {path for _, path in changes})


def _concerns_folders(found: Scan, change: int, path: str) -> bool:
    """Whether a change is one of folders, or of the rules by which they are looked at."""
    if path in found.folders:
        return change != Change.modified
    folder, name = os.path.split(path)
    if name in (GIT_FILE, OWN_FILE):
        return True
    rules = found.folders.get(folder)
    return rules is not None and os.path.isdir(path) and not rules.ignores_folder(path)
