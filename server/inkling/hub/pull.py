"""A checkpoint from the hub into its folder: `FOLDER.part` until it is whole, then `FOLDER`."""

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from inkling.errors import CheckpointError, InklingError
from inkling.hub.download import Download
from inkling.hub.local import PART, read_form
from inkling.hub.remote import Listing

# Told what is done and all there is to do, in bytes.
Report = Callable[[float, float], None]

# Says what was pulled, marks a folder as a pull's to replace, and is locked while one writes.
NOTE = "pulled.json"


class PullError(InklingError):
    """The checkpoint cannot be written to where it belongs."""


def pull(listing: Listing, folder: Path, *, checking: Report, pulling: Report) -> int:
    """Make `folder` hold the files of `listing` and nothing else; the bytes that were fetched.

    Stopped at any moment, the same call goes on where it was. What an older `folder` has of the
    same contents is not fetched again, and it stays until the new one is whole. `checking` is told of
    files that are there, `pulling` of those that come.

    Raises HubError for what the hub does, CheckpointError for a config.json of another architecture
    (before the weights are fetched), PullError for what the disk does.
    """
    part = folder.with_name(folder.name + PART)
    try:
        _check_ours(folder, part)
        with _locked(part, listing):
            downloads = [Download(part, file) for file in listing.files]
            _remove_others(part, downloads)
            _reuse(folder, downloads)
            _check(downloads, checking)
            missing = sum(download.file.nbytes - download.done_bytes for download in downloads)
            _check_space(part, missing)
            _fetch(listing, downloads, pulling)
            _publish(part, folder)
            return missing
    except CheckpointError:
        shutil.rmtree(part)  # nothing would ever go on with it
        raise
    except OSError as error:
        raise PullError(
            f"{error.filename or part} cannot be written ({error.strerror}): see to the disk and to"
            " who may write there; the same command then goes on where this one stopped."
        ) from error


def _check_ours(*folders: Path) -> None:
    """A conversion, or a copy made by hand, may have the same name."""
    for folder in folders:
        if folder.is_dir() and any(folder.iterdir()) and not (folder / NOTE).is_file():
            raise PullError(
                f"{folder} is there, but no pull made it: rename it, or use it as it is."
            )


@contextlib.contextmanager
def _locked(part: Path, listing: Listing) -> Iterator[None]:
    """Make the folder, keep other pulls out of it, and note what it will hold."""
    part.mkdir(parents=True, exist_ok=True)
    with (part / NOTE).open("a") as note:
        try:
            fcntl.flock(note, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PullError(f"Another pull writes {part}: wait for it.") from None
        note.truncate(0)
        json.dump({"repo": listing.repo, "commit": listing.commit}, note)
        note.flush()
        yield


def _remove_others(part: Path, downloads: Sequence[Download]) -> None:
    """Make room: what another revision left is never used."""
    kept = {part / NOTE}.union(*({download.path, download.draft} for download in downloads))
    for path in part.iterdir():
        if path not in kept:
            path.unlink()


def _reuse(folder: Path, downloads: Sequence[Download]) -> None:
    """Take over files of an older pull; `_check` removes those with other contents."""
    for download in downloads:
        older = folder / download.file.name
        if older.is_file() and not download.path.exists():
            # A file system without links: the file is fetched again.
            with contextlib.suppress(OSError):
                os.link(older, download.path)


def _check(downloads: Sequence[Download], report: Report) -> None:
    done, total = 0, sum(download.bytes_to_check for download in downloads)

    def advance(nbytes: int) -> None:
        nonlocal done
        done += nbytes
        report(done, total)

    for download in downloads:
        download.check(advance)


def _check_space(part: Path, missing: int) -> None:
    free = shutil.disk_usage(part).free
    if missing > free:
        raise PullError(
            f"{part} needs {missing / 1e9:.1f} GB more but its disk has {free / 1e9:.1f} GB free:"
            f" make space, or make {part.parent} a link to a folder on another disk."
        )


def _fetch(listing: Listing, downloads: Sequence[Download], report: Report) -> None:
    done = sum(download.done_bytes for download in downloads)

    def advance(nbytes: int) -> None:
        nonlocal done
        done += nbytes
        report(done, listing.nbytes)

    for download in downloads:
        download.fetch(listing, advance)
        if download.file.name == "config.json":
            read_form(
                download.path.parent
            )  # the small files come first: the weights only if of use


def _publish(part: Path, folder: Path) -> None:
    """Give the folder its name, and remove an older one."""
    old = folder.with_name(f"{folder.name}.old{PART}")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    part.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
