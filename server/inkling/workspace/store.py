"""Write the index. One connection, one process; a reader sees whole batches only."""

import sqlite3
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from inkling.context.languages import LANGUAGES
from inkling.workspace.database import file_of, place_of
from inkling.workspace.facts import Entry, Extract, Stamp
from inkling.workspace.pairs import stem_of
from inkling.workspace.words import words_of_function

FUNCTION_KINDS = ("function", "method")


class IndexStore:
    """The tables of one index, for its writer."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """`connection` is from `database.connect_to_write` and closed with the store."""
        self._connection = connection

    def close(self) -> None:
        self._connection.close()

    def stamps(self) -> dict[str, Stamp]:
        """The files that were looked at, as they were then."""
        rows = self._connection.execute(
            "SELECT path, mtime_ns, size FROM file UNION ALL SELECT path, mtime_ns, size FROM left_out"
        )
        return {path: Stamp(mtime_ns, size) for path, mtime_ns, size in rows}

    def replace(self, entries: Sequence[Entry]) -> None:
        """Take these files in, instead of what was known of them."""
        with self._connection:
            self._remove(entry.path for entry in entries)
            self._connection.executemany(
                "INSERT INTO left_out VALUES (?, ?, ?)",
                (
                    (entry.path, entry.stamp.mtime_ns, entry.stamp.size)
                    for entry in entries
                    if entry.extract is None
                ),
            )
            batch = self._connection.execute("SELECT COALESCE(MAX(batch), 0) + 1 FROM file")
            (number,) = batch.fetchone()
            extracts = {
                self._insert_file(entry, entry.extract, number): entry.extract
                for entry in entries
                if entry.extract is not None
            }
            self._insert_symbols(extracts)
            self._insert_words(extracts, number)
            self._insert_names(extracts)

    def remove(self, paths: Iterable[str]) -> None:
        """Forget these files."""
        with self._connection:
            self._remove(paths)

    def _insert_file(self, entry: Entry, extract: Extract, batch: int) -> int:
        family = LANGUAGES[extract.language].family
        stamp = entry.stamp
        cursor = self._connection.execute(
            "INSERT INTO file (path, stem, language, family, mtime_ns, size, batch) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                *(entry.path, stem_of(entry.path), extract.language, family),
                *(stamp.mtime_ns, stamp.size, batch),
            ),
        )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def _insert_symbols(self, extracts: Mapping[int, Extract]) -> None:
        self._connection.executemany(
            "INSERT INTO symbol VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (
                    *(file_id, position, it.name, LANGUAGES[extract.language].family, it.kind),
                    *(it.first_line, it.last_line, it.signature, it.doc),
                )
                for file_id, extract in extracts.items()
                for position, it in enumerate(extract.symbols)
            ),
        )

    def _insert_words(self, extracts: Mapping[int, Extract], batch: int) -> None:
        places: defaultdict[str, array[int]] = defaultdict(lambda: array("q"))
        for file_id, extract in extracts.items():
            family = LANGUAGES[extract.language].family
            for position, it in enumerate(extract.symbols):
                if it.kind in FUNCTION_KINDS:
                    for word, in_name in words_of_function(it.name, it.signature, it.doc).items():
                        places[f"{family} {word}"].append(place_of(file_id, position, in_name))
        self._connection.executemany(
            "INSERT INTO function_word VALUES (?, ?, ?)",
            ((word, batch, places[word].tobytes()) for word in sorted(places)),
        )

    def _insert_names(self, extracts: Mapping[int, Extract]) -> None:
        files_with: defaultdict[str, list[int]] = defaultdict(list)
        for file_id, extract in extracts.items():
            for name in extract.names:
                files_with[name].append(file_id)
        # In the order of their keys, so that each page is visited once.
        ids = {name: self._count_name(name, len(files_with[name])) for name in sorted(files_with)}
        self._connection.executemany(
            "INSERT INTO posting VALUES (?, ?)",
            (
                (ids[name], file_id)
                for name in sorted(ids, key=ids.__getitem__)
                for file_id in files_with[name]
            ),
        )
        self._connection.executemany(
            "INSERT INTO file_names VALUES (?, ?)",
            (
                (file_id, array("I", map(ids.__getitem__, extract.names)).tobytes())
                for file_id, extract in extracts.items()
            ),
        )

    def _count_name(self, name: str, num_files: int) -> int:
        """The id of a name that stands in so many more files."""
        row = self._connection.execute(
            "INSERT INTO name (text, num_files) VALUES (?, ?) "
            "ON CONFLICT (text) DO UPDATE SET num_files = num_files + excluded.num_files RETURNING id",
            (name, num_files),
        ).fetchone()
        return int(row[0])

    def _remove(self, paths: Iterable[str]) -> None:
        gone: Counter[int] = Counter()
        for path in paths:
            self._connection.execute("DELETE FROM left_out WHERE path = ?", (path,))
            row = self._connection.execute(
                "SELECT id, batch, name_ids FROM file JOIN file_names ON file_id = id WHERE path = ?",
                (path,),
            ).fetchone()
            if row is None:
                continue
            file_id, batch, blob = row
            name_ids = array("I", blob)
            gone.update(name_ids)
            self._connection.executemany(
                "DELETE FROM posting WHERE name_id = ? AND file_id = ?",
                ((name_id, file_id) for name_id in name_ids),
            )
            self._remove_words(file_id, batch)
            for table in ("symbol", "file_names"):
                self._connection.execute(f"DELETE FROM {table} WHERE file_id = ?", (file_id,))
            self._connection.execute("DELETE FROM file WHERE id = ?", (file_id,))
        self._connection.executemany(
            "UPDATE name SET num_files = num_files - ? WHERE id = ?",
            ((num_files, name_id) for name_id, num_files in gone.items()),
        )
        self._connection.executemany(
            "DELETE FROM name WHERE id = ? AND num_files = 0", ((name_id,) for name_id in gone)
        )

    def _remove_words(self, file_id: int, batch: int) -> None:
        """Take a file's functions out of the rows of the files that it came with."""
        kinds = ", ".join("?" * len(FUNCTION_KINDS))
        functions = self._connection.execute(
            "SELECT family, name, signature, doc FROM symbol "
            f"WHERE file_id = ? AND kind IN ({kinds})",
            (file_id, *FUNCTION_KINDS),
        ).fetchall()
        words = {
            f"{family} {word}" for family, *said in functions for word in words_of_function(*said)
        }
        for word in words:
            key = (word, batch)
            row = self._connection.execute(
                "SELECT places FROM function_word WHERE word = ? AND batch = ?", key
            ).fetchone()
            if row is None:
                continue
            left = array("q", (it for it in array("q", row[0]) if file_of(it) != file_id))
            if left:
                self._connection.execute(
                    "UPDATE function_word SET places = ? WHERE word = ? AND batch = ?",
                    (left.tobytes(), *key),
                )
            else:
                self._connection.execute(
                    "DELETE FROM function_word WHERE word = ? AND batch = ?", key
                )
