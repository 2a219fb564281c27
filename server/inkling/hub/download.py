"""One file of the hub, whole or not at all: begun files are gone on with, all are checked by hash.

Not with the library's `hf_hub_download`: as of 2.4 it begins a file anew in each process (a
private name each, removed on failure), and it compares sizes, not hashes.
"""

import os
import time
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO

from inkling.hub.library import build_hf_headers, get_session, hf_hub_url, hf_raise_for_status
from inkling.hub.remote import TIMEOUT_S, Hash, HubError, HubFile, Listing, refusals

# Told how many bytes were done, fewer than none when a file begins anew.
Report = Callable[[int], None]

# Pauses before tries that follow one that brought nothing.
PAUSES_S = (1.0, 2.0, 4.0, 8.0, 15.0)
_CHUNK = 1 << 20


class Download:
    """One file on its way into `folder`. `done_bytes` of it are there.

    It is written under a name with its hash, so that a file of another revision is never gone on
    with, and gets its own name once the hash is right.
    """

    def __init__(self, folder: Path, file: HubFile) -> None:
        self.file = file
        self.path = folder / file.name
        self.draft = folder / f"{file.name}.{file.digest[:16]}.part"
        self.done_bytes = 0
        self._hash: Hash = file.new_hash()

    @property
    def bytes_to_check(self) -> int:
        """How much `check` will read."""
        place = self.path if self.path.is_file() else self.draft
        return place.stat().st_size if place.is_file() else 0

    def check(self, report: Report) -> None:
        """Look at what is there: take it if it can be part of the file, remove it if not."""
        if self.path.is_file():
            if self.path.stat().st_size == self.file.nbytes:
                self._read(self.path, report)
            if self._is_right():
                return
            self.path.unlink()
            self._begin_anew()
        if self.draft.is_file():
            if self.draft.stat().st_size > self.file.nbytes:
                self.draft.unlink()
            else:
                self._read(self.draft, report)

    def fetch(self, listing: Listing, report: Report) -> None:
        """Get what is missing, compare hashes, and give the file its name.

        Raises HubError when the hub fails or its file is not what it announced, OSError when the
        file cannot be written. What came before a failure stays, but for a file of a wrong hash.
        """
        if self.path.is_file():
            return
        with self.draft.open("ab") as stream:
            self._fetch_rest(stream, listing, report)
            os.fsync(stream.fileno())
        if not self._is_right():
            self.draft.unlink()
            raise HubError(
                f"{self.file.name} came with another hash than the hub has for it, and was removed:"
                " run the same command again; if that does not help, something between you and the"
                " hub changes files."
            )
        self.draft.rename(self.path)

    def _fetch_rest(self, stream: BinaryIO, listing: Listing, report: Report) -> None:
        farthest, pauses = self.done_bytes, iter(PAUSES_S)
        while self.done_bytes < self.file.nbytes:
            reason = self._try(stream, listing, report)
            if self.done_bytes > farthest:
                farthest, pauses = self.done_bytes, iter(PAUSES_S)
            elif (pause := next(pauses, None)) is not None:
                time.sleep(pause)
            else:
                raise reason

    def _try(self, stream: BinaryIO, listing: Listing, report: Report) -> HubError:
        """Fetch as far as it goes; why it went no further."""
        try:
            with refusals(listing.repo, listing.commit):
                self._receive(stream, listing, report)
        except HubError as error:
            if not error.is_passing:
                raise
            return error
        return HubError(
            f"The hub ends {self.file.name} too early: the same command goes on from there."
        )

    def _receive(self, stream: BinaryIO, listing: Listing, report: Report) -> None:
        """One request for the rest of the file."""
        headers = {**build_hf_headers(), "Accept-Encoding": "identity"}
        if self.done_bytes:
            headers["Range"] = f"bytes={self.done_bytes}-"
        url = hf_hub_url(listing.repo, self.file.name, revision=listing.commit)
        with get_session().stream("GET", url, headers=headers, timeout=TIMEOUT_S) as response:
            hf_raise_for_status(response)
            if self.done_bytes and response.status_code != HTTPStatus.PARTIAL_CONTENT:
                report(-self.done_bytes)
                self._begin_anew()
                stream.truncate(0)
            for chunk in response.iter_bytes():
                stream.write(chunk)
                stream.flush()
                self._hash.update(chunk)
                self.done_bytes += len(chunk)
                report(len(chunk))
                if self.done_bytes > self.file.nbytes:
                    return  # its hash will be wrong

    def _read(self, path: Path, report: Report) -> None:
        with path.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                self._hash.update(chunk)
                self.done_bytes += len(chunk)
                report(len(chunk))

    def _is_right(self) -> bool:
        return self._hash.hexdigest() == self.file.digest

    def _begin_anew(self) -> None:
        self.done_bytes = 0
        self._hash = self.file.new_hash()
