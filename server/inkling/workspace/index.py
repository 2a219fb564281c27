"""Ask the index of a workspace. A query is a matter of milliseconds; none ever raises.

While the index is missing, locked or damaged, answers are empty; while it is being built, they hold
what is there so far.
"""

import contextlib
import heapq
import json
import math
import os
import sqlite3
import threading
from array import array
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from inkling.workspace.database import connect_to_read
from inkling.workspace.facts import Symbol
from inkling.workspace.pairs import nearest, pair_stems

# A name with more definitions than this (`main`, `__init__`) says nothing about which is meant.
MAX_DEFINITIONS = 16
# Names in more files say little about which files are alike.
_MAX_COMMON = 300
# How many places of names are looked at for similar files, rarest names first.
_MAX_POSTINGS = 2000
# The same for functions that speak of a word; of the rarest word, so many are looked at anyhow.
_MAX_FUNCTIONS = 4000
# With more files of a name (`index.ts`) it says nothing about which belongs to which.
_MAX_COUNTERPARTS = 64

_SYMBOL = "path, name, kind, first_line, last_line, signature, doc"


class _Open(NamedTuple):
    connection: sqlite3.Connection
    inode: int


class WorkspaceIndex:
    """The index of one workspace, read only. For any thread."""

    def __init__(self, database: Path) -> None:
        """`database` need not exist yet."""
        self._database = database
        self._open: _Open | None = None
        self._lock = threading.Lock()

    @property
    def num_files(self) -> int:
        """How many files the index holds."""
        rows = self._rows("SELECT COUNT(*) FROM file")
        return rows[0][0] if rows else 0

    def symbols(self, names: Iterable[str], family: str) -> tuple[Symbol, ...]:
        """The definitions of these names in files of a language family, in the order of the names.

        A name that is defined at more than `MAX_DEFINITIONS` places is passed over.
        """
        wanted = [*dict.fromkeys(names)]
        rows = self._rows(
            "SELECT value, (SELECT COUNT(*) FROM ("
            "SELECT 1 FROM symbol WHERE name = value AND family = ? LIMIT ?)) FROM json_each(?)",
            (family, MAX_DEFINITIONS + 1, json.dumps(wanted)),
        )
        telling = [name for name, count in rows if 0 < count <= MAX_DEFINITIONS]
        rows = self._rows(
            f"SELECT {_SYMBOL} FROM (SELECT value FROM json_each(?)) CROSS JOIN symbol ON name = value "
            "JOIN file ON file.id = file_id WHERE symbol.family = ?",
            (json.dumps(telling), family),
        )
        order = {name: position for position, name in enumerate(wanted)}
        found = (Symbol(*row) for row in rows)
        return tuple(sorted(found, key=lambda it: (order[it.name], it.path, it.first_line)))

    def symbols_in(self, path: str) -> tuple[Symbol, ...]:
        """The definitions of a file (relative to the workspace), in its order."""
        rows = self._rows(
            f"SELECT {_SYMBOL} FROM file JOIN symbol ON file_id = file.id "
            "WHERE path = ? ORDER BY position",
            (path,),
        )
        return tuple(Symbol(*row) for row in rows)

    def functions(
        self, words: Sequence[str], family: str, limit: int
    ) -> tuple[tuple[float, Symbol], ...]:
        """The functions and methods of a language family that speak of the heaviest of these words
        (`words.words_of`) in name, signature or documentation, likest first, each with its score.

        A word counts log(1 + files / functions with it), and twice in a name.
        """
        keys = json.dumps([f"{family} {word}" for word in words])
        counts = self._rows(
            "SELECT SUM(LENGTH(places)) / 8 AS num, word FROM function_word "
            "WHERE word IN (SELECT value FROM json_each(?)) GROUP BY word ORDER BY num, word",
            (keys,),
        )
        num_files, room = self.num_files, _MAX_FUNCTIONS
        scores: defaultdict[int, float] = defaultdict(float)
        for count, word in counts:
            if scores and count > room:
                break
            weight = math.log(1 + num_files / count)
            for place in self._places(word, room):
                scores[place >> 1] += weight * (1 + (place & 1))
            room -= count
        best = heapq.nsmallest(limit, scores, key=lambda place: (-scores[place], place))
        rows = self._rows(
            f"SELECT place, {_SYMBOL} FROM (SELECT key AS rank, value AS place FROM json_each(?)) "
            "JOIN symbol ON file_id = place >> 20 AND position = place & 0xFFFFF "
            "JOIN file ON file.id = file_id ORDER BY rank",
            (json.dumps(best),),
        )
        return tuple((scores[place], Symbol(*row)) for place, *row in rows)

    def _places(self, word: str, most: int) -> "array[int]":
        """Where functions speak of a word, as `database.place_of` packs it."""
        places: array[int] = array("q")
        for (blob,) in self._rows(
            "SELECT places FROM function_word WHERE word = ? ORDER BY batch", (word,)
        ):
            places.frombytes(blob)
            if len(places) >= most:
                break
        return places[:most]

    def frequency(self, names: Iterable[str]) -> dict[str, int]:
        """In how many files each name stands; names that stand in none are left out."""
        return {text: count for _, text, count in self._names(names)}

    def similar_files(self, names: Iterable[str], family: str, limit: int) -> tuple[str, ...]:
        """The files of a language family that share the rarest of these names, likest first.

        A shared name counts log(1 + files / files with it), as in `context.chunks`.
        """
        rare = sorted((it[2], it[0]) for it in self._names(names) if it[2] <= _MAX_COMMON)
        num_files, room = self.num_files, _MAX_POSTINGS
        weights: dict[int, float] = {}
        for count, name_id in rare:
            room -= count
            if room < 0:
                break
            weights[name_id] = math.log(1 + num_files / count)
        scores: defaultdict[int, float] = defaultdict(float)
        for name_id, file_id in self._rows(
            "SELECT name_id, file_id FROM json_each(?) CROSS JOIN posting ON name_id = value",
            (json.dumps([*weights]),),
        ):
            scores[file_id] += weights[name_id]
        best = sorted(scores, key=lambda file_id: (-scores[file_id], file_id))
        found: list[str] = []
        while best and len(found) < limit:
            found += self._paths(best[: 2 * limit], family)
            del best[: 2 * limit]
        return tuple(found[:limit])

    def test_pair(self, path: str) -> str | None:
        """The test of a source file, or the source file of a test; None if there is none.

        Each must be nearest to the other, so that a module without tests does not get another's.
        """
        pair = nearest(path, self._counterparts(path))
        return pair if pair and nearest(pair, self._counterparts(pair)) == path else None

    def close(self) -> None:
        """Close the database; the next query opens it anew."""
        with self._lock:
            self._close()

    def _paths(self, file_ids: list[int], family: str) -> list[str]:
        """The paths of those of the files that are of a family, in the same order."""
        rows = self._rows(
            "SELECT file.path FROM json_each(?) AS wanted CROSS JOIN file ON file.id = value "
            "WHERE family = ? ORDER BY wanted.key",
            (json.dumps(file_ids), family),
        )
        return [path for (path,) in rows]

    def _counterparts(self, path: str) -> list[str]:
        """The files that may be a file's test, or what it tests; none where there are too many."""
        rows = self._rows(
            "SELECT other.path FROM file JOIN file AS other ON other.family = file.family "
            "JOIN json_each(?) ON other.stem = value WHERE file.path = ? LIMIT ?",
            (json.dumps(pair_stems(path)), path, _MAX_COUNTERPARTS + 1),
        )
        return [path for (path,) in rows] if len(rows) <= _MAX_COUNTERPARTS else []

    def _names(self, names: Iterable[str]) -> list[tuple[int, str, int]]:
        """Id, text and number of files of those names that the index knows."""
        return self._rows(
            "SELECT name.id, text, num_files FROM json_each(?) JOIN name ON text = value",
            (json.dumps([*dict.fromkeys(names)]),),
        )

    def _rows(self, query: str, values: tuple[str | float, ...] = ()) -> list[Any]:
        with self._lock:
            try:
                return self._connection().execute(query, values).fetchall()
            except (OSError, sqlite3.Error):
                self._close()
                return []

    def _connection(self) -> sqlite3.Connection:
        """The open database; opened anew when the indexer threw the old one away."""
        inode = os.stat(self._database).st_ino
        if self._open is not None and self._open.inode != inode:
            self._close()
        if self._open is None:
            self._open = _Open(connect_to_read(self._database), inode)
        return self._open.connection

    def _close(self) -> None:
        if self._open is not None:
            with contextlib.suppress(sqlite3.Error):
                self._open.connection.close()
            self._open = None
