"""The index on disk: where it lies, its tables, and how it is opened.

One process writes (`store.py`), any number read (`index.py`). It holds code, so it is its owner's alone.
"""

import contextlib
import hashlib
import os
import re
import sqlite3
import time
import zlib
from functools import cache
from pathlib import Path

from platformdirs import user_cache_path

from inkling.context.languages import LANGUAGES
from inkling.workspace.lock import alone

# To be raised when what is kept of a file changes otherwise than by tables and queries (by `words.py`, say).
_EXTRACT_VERSION = 2
_CACHE_KIB = 16 * 1024
_LOG_BYTES = 4 * 1024 * 1024
UNUSED_DAYS = 60
# As `database_of` names them.
_NAME = re.compile(r"[0-9a-f]{24}\.sqlite")

# `posting` says which names stand in which files; `file_names` the same from the other side, as
# 4-byte ids, so that a file's postings can be taken out. `left_out` are files that were looked at in
# vain. `name.num_files` counts postings, since counting them on demand takes too long. `function_word` says
# which functions speak of a word (with its language family before it), as 8-byte places: one row for all
# files that were taken in together, since rows cost most of the time.
_SCHEMA = """
CREATE TABLE file (
    id INTEGER PRIMARY KEY,
    path TEXT NOT NULL UNIQUE,
    stem TEXT NOT NULL,
    language TEXT NOT NULL,
    family TEXT NOT NULL,
    mtime_ns INTEGER NOT NULL,
    size INTEGER NOT NULL,
    batch INTEGER NOT NULL
);
CREATE INDEX file_by_stem ON file (stem);
CREATE TABLE left_out (
    path TEXT NOT NULL PRIMARY KEY,
    mtime_ns INTEGER NOT NULL,
    size INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE name (
    id INTEGER PRIMARY KEY,
    text TEXT NOT NULL UNIQUE,
    num_files INTEGER NOT NULL
);
CREATE TABLE posting (
    name_id INTEGER NOT NULL,
    file_id INTEGER NOT NULL,
    PRIMARY KEY (name_id, file_id)
) WITHOUT ROWID;
CREATE TABLE file_names (file_id INTEGER PRIMARY KEY, name_ids BLOB NOT NULL);
CREATE TABLE symbol (
    file_id INTEGER NOT NULL,
    position INTEGER NOT NULL,
    name TEXT NOT NULL,
    family TEXT NOT NULL,
    kind TEXT NOT NULL,
    first_line INTEGER NOT NULL,
    last_line INTEGER NOT NULL,
    signature TEXT NOT NULL,
    doc TEXT NOT NULL,
    PRIMARY KEY (file_id, position)
) WITHOUT ROWID;
CREATE INDEX symbol_by_name ON symbol (name, family);
CREATE TABLE function_word (
    word TEXT NOT NULL,
    batch INTEGER NOT NULL,
    places BLOB NOT NULL,
    PRIMARY KEY (word, batch)
) WITHOUT ROWID;
"""


def place_of(file_id: int, position: int, in_name: bool) -> int:
    """Where a word of a function stands: the function, and whether it is in its name."""
    return (file_id << 20 | position) << 1 | in_name


def file_of(place: int) -> int:
    """The id of the file that a place is in."""
    return place >> 21


def database_of(root: Path) -> Path:
    """Where the index of the workspace at `root` lies, in the user's cache folder."""
    digest = hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:24]
    return user_cache_path("inkling") / "workspaces" / f"{digest}.sqlite"


@cache
def schema_version() -> int:
    """A number for the tables and for what fills them; an index with another one is of no use."""
    queries = sorted({syntax.query for syntax in LANGUAGES.values()})
    return zlib.crc32(repr((_EXTRACT_VERSION, _SCHEMA, queries)).encode()) & 0x7FFFFFFF


def connect_to_read(database: Path) -> sqlite3.Connection:
    """A connection that only reads and never waits; usable from any thread, one at a time.

    Raises sqlite3.Error when there is no index of this version.
    """
    connection = sqlite3.connect(
        f"{database.as_uri()}?mode=ro", uri=True, timeout=0, check_same_thread=False
    )
    try:
        if not _is_current(connection):
            raise sqlite3.DatabaseError("an index of another version")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def connect_to_write(database: Path) -> sqlite3.Connection:
    """The only connection that writes, to a whole index of this version: a new, empty one where
    there was none, or one of another version, or a damaged one.

    Raises OSError and sqlite3.Error when there can be none.
    """
    database.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    remove_unused(database)
    if database.exists():
        os.utime(database)
        with contextlib.suppress(sqlite3.DatabaseError):
            return _open(database, is_new=False)
        remove(database)
    os.close(os.open(database, os.O_RDWR | os.O_CREAT, 0o600))
    return _open(database, is_new=True)


def remove(database: Path) -> None:
    """Delete an index. Who reads it goes on with what was there and finds out at the next query."""
    for ending in ("", "-wal", "-shm"):
        database.with_name(database.name + ending).unlink(missing_ok=True)


def remove_unused(database: Path) -> None:
    """Delete the indexes beside this one that nobody has opened to write for UNUSED_DAYS, and which
    no process holds: of workspaces that are gone, or no longer worked in."""
    oldest = time.time() - UNUSED_DAYS * 86_400
    for other in database.parent.iterdir():
        if not _NAME.fullmatch(other.name) or other == database:
            continue
        with contextlib.suppress(OSError):
            if other.stat().st_mtime < oldest:
                with alone(other, wait=False):
                    if other.stat().st_mtime < oldest:  # still
                        remove(other)


def _open(database: Path, is_new: bool) -> sqlite3.Connection:
    connection = sqlite3.connect(database)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA journal_size_limit = {_LOG_BYTES}")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        if is_new:
            version = schema_version()
            connection.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {version}; COMMIT")
        elif not (_is_current(connection) and _is_whole(connection)):
            raise sqlite3.DatabaseError("an index of another version, or a damaged one")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _is_current(connection: sqlite3.Connection) -> bool:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version == schema_version()


def _is_whole(connection: sqlite3.Connection) -> bool:
    checked: str = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    return checked == "ok"
