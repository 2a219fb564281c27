"""The folder that is being written: `OUT.part` until it is whole, then `OUT`.

Its files have their full length from the beginning. A journal says which items are written, with a hash
of their bytes: who goes on after a kill believes no item whose bytes do not match, so nothing needs to
be flushed on the way.
"""

import fcntl
import hashlib
import json
import os
import shutil
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor

from inkling.engine.convert.plan import Item, Plan
from inkling.engine.exl2.tensors import INDEX
from inkling.errors import InklingError

JOURNAL = "journal.jsonl"
REPORT = "conversion.json"

_DTYPES = {"I32": torch.int32, "F16": torch.float16, "I16": torch.int16, "U8": torch.uint8}
# What a conversion writes beside weights: metadata, tokenizer, index.
_SPARE_BYTES = 64 << 20


class OutputError(InklingError):
    """The output cannot be written."""


class Output:
    """One conversion's files. Use as a context manager; any thread may write."""

    def __init__(self, folder: Path, plan: Plan, identity: Mapping[str, Any]) -> None:
        """Open `folder`.part, made if need be, and take what it holds of the same `identity`.

        Raises OutputError when `folder` is there already, another process writes it, what was begun
        there has another identity, the disk has too little space, or it cannot be written.
        """
        self.folder = folder = folder.resolve()  # a link's own place is not what is renamed
        self.part = folder.with_name(f"{folder.name}.part")
        self._plan = plan
        self._lock = threading.Lock()
        self._done: dict[str, dict[str, Any]] = {}
        self._files: list[int] = []
        check_is_free(folder)
        try:
            self._open(json.loads(json.dumps(identity)))
        except OSError as error:
            self.close()
            raise _failed(self.part, error) from error
        except BaseException:
            self.close()
            raise

    def _open(self, identity: dict[str, Any]) -> None:
        self.part.mkdir(parents=True, exist_ok=True)
        self._journal = os.open(self.part / JOURNAL, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._files.append(self._journal)
        try:
            fcntl.flock(self._journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OutputError(f"Another conversion writes {self.part}: wait for it.") from None
        entries, length = _read_journal(self._journal)
        os.ftruncate(self._journal, length)
        if entries and entries[0] != identity:
            raise OutputError(
                f"{self.part} was begun with another source, recipe or version of Inkling: remove it,"
                " or choose another folder."
            )
        self._check_space()
        if not entries:  # before the shards, or another recipe could go on with their lengths
            self._append(identity)
        for shard in self._plan.shards:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            file = os.open(self.part / shard.name, flags, 0o644)
            self._files.append(file)
            _claim(file, shard.nbytes)
            os.pwrite(file, shard.header, 0)
        noted = {entry.get("item"): entry for entry in entries[1:]}
        for item in self._plan.items:
            entry = noted.get(item.name)
            if entry is not None and entry.get("sha256") == self._hash(item):
                self._done[item.name] = entry

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all files; what is written stays for the next try."""
        while self._files:
            os.close(self._files.pop())

    @property
    def done(self) -> Mapping[str, Mapping[str, Any]]:
        """What the journal says of each item that is written, by its name."""
        return self._done

    def write(self, item: Item, tensors: Mapping[str, Tensor], note: Mapping[str, Any]) -> None:
        """Write all tensors of `item` and note that they are there.

        Raises OutputError when that fails, ValueError for tensors other than planned.
        """
        if sorted(tensors) != self._plan.names(item):
            raise ValueError(f"{item.name}: {sorted(tensors)} was not planned")
        digest = hashlib.sha256()
        try:
            for name in sorted(tensors):
                place, tensor = self._plan.places[name], tensors[name].cpu().contiguous()
                if tuple(tensor.shape) != place.shape or tensor.dtype != _DTYPES[place.dtype]:
                    raise ValueError(f"{name}: {tensor.dtype} {list(tensor.shape)} was not planned")
                data = as_bytes(tensor)
                digest.update(data)
                _write_all(self._file(place.file), data, place.start)
            # In the order that it has when it is read back: the report must not show who was killed.
            entry = dict(sorted({**note, "item": item.name, "sha256": digest.hexdigest()}.items()))
            with self._lock:
                self._append(entry)
                self._done[item.name] = entry
        except OSError as error:
            raise _failed(self.part, error) from error

    def read(self, item: Item) -> dict[str, Tensor] | None:
        """The tensors of an item by name, None while it is not written."""
        if item.name not in self._done:
            return None
        tensors = {}
        for name in self._plan.names(item):
            place = self._plan.places[name]
            data = bytearray(os.pread(self._file(place.file), place.nbytes, place.start))
            tensors[name] = torch.frombuffer(data, dtype=_DTYPES[place.dtype]).view(place.shape)
        return tensors

    def finish(
        self, config: Mapping[str, Any], report: Mapping[str, Any], copies: list[Path]
    ) -> None:
        """Add what is no weight, flush all to the disk, and give the folder its name.

        Raises OutputError when that fails.
        """
        try:
            for path in copies:
                shutil.copyfile(path, self.part / path.name)
            self._write_json("config.json", config)
            self._write_json(INDEX, self._plan.index())
            names = sorted(["config.json", INDEX, *(path.name for path in copies)])
            files = {
                name: hashlib.sha256((self.part / name).read_bytes()).hexdigest() for name in names
            }
            self._write_json(REPORT, {**report, "files": files})
            for path in self.part.iterdir():
                _flush(path)
            if self.folder.is_dir():
                self.folder.rmdir()  # it is empty
            self.part.rename(self.folder)
            # Only now: whatever stops before can go on.
            (self.folder / JOURNAL).unlink()
            _flush(self.folder.parent)
        except OSError as error:
            raise _failed(self.part, error) from error

    def _write_json(self, name: str, content: Mapping[str, Any]) -> None:
        text = json.dumps(content, indent=2) + "\n"
        (self.part / name).write_text(text, encoding="utf-8")

    def _check_space(self) -> None:
        there = sum(path.stat().st_blocks * 512 for path in self.part.iterdir())
        missing = self._plan.nbytes + _SPARE_BYTES - there
        free = shutil.disk_usage(self.part).free
        if missing > free:
            raise OutputError(
                f"{self.part} needs {missing / 1e9:.1f} GB more but its disk has {free / 1e9:.1f} GB"
                " free: make space, or choose a folder on another disk."
            )

    def _hash(self, item: Item) -> str:
        digest = hashlib.sha256()
        for name in self._plan.names(item):
            place = self._plan.places[name]
            for start in range(0, place.nbytes, _CHUNK):
                size = min(_CHUNK, place.nbytes - start)
                digest.update(os.pread(self._file(place.file), size, place.start + start))
        return digest.hexdigest()

    def _file(self, number: int) -> int:
        return self._files[number + 1]  # behind the journal

    def _append(self, entry: Mapping[str, Any]) -> None:
        line = (json.dumps(entry) + "\n").encode()
        _write_all(self._journal, memoryview(line), os.fstat(self._journal).st_size)


_CHUNK = 1 << 24


def check_is_free(folder: Path) -> None:
    """Raise OutputError if there is a file or a folder with anything in it."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError(f"{folder} is there already: remove it, or choose another folder.")


def as_bytes(tensor: Tensor) -> memoryview:
    """The bytes of a contiguous tensor on the CPU, as they lie in memory and in files."""
    return tensor.numpy().data.cast("B")


def _read_journal(file: int) -> tuple[list[dict[str, Any]], int]:
    """What a journal says, and the length of that: without a line that was cut off."""
    entries: list[dict[str, Any]] = []
    length = 0
    for line in os.pread(file, os.fstat(file).st_size, 0).splitlines(keepends=True):
        try:
            entry = json.loads(line)
        except ValueError:
            break
        if not line.endswith(b"\n") or not isinstance(entry, dict):
            break
        entries.append(entry)
        length += len(line)
    return entries, length


def _claim(file: int, nbytes: int) -> None:
    """Give a file its full length, with its blocks where the system can: no full disk later."""
    os.ftruncate(file, nbytes)
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, nbytes)


def _write_all(file: int, data: memoryview, start: int) -> None:
    while data:
        written = os.pwrite(file, data, start)
        data, start = data[written:], start + written


def _flush(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _failed(part: Path, error: OSError) -> OutputError:
    return OutputError(
        f"{part} cannot be written ({error.strerror}): see to the disk and the folder's permissions;"
        " the same command then goes on where this one stopped."
    )
