"""How completions are received: shown, accepted, and what is left of them after a while.

Counted on this machine and sent nowhere: a small database in the user's state folder, one row a day
and language, shared by all windows. Any thread.
"""

import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import astuple, dataclass, fields
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

logger = logging.getLogger(__name__)

# Another window may be writing.
BUSY_TIMEOUT_S = 5.0


@dataclass
class Acceptance:
    """Counts of one day and language. `checked` characters were accepted long enough ago to be looked
    at again, `kept` of them are still there. The field names are the database's columns."""

    shown: int = 0
    accepted: int = 0
    checked: int = 0
    kept: int = 0

    def add(self, other: "Acceptance") -> None:
        """Add the counts of another."""
        for field in fields(self):
            sum_ = getattr(self, field.name) + getattr(other, field.name)
            setattr(self, field.name, sum_)


_COLUMNS = tuple(field.name for field in fields(Acceptance))


class Statistics:
    """The counts of all windows, in one file, which is made with the first count."""

    @cached_property
    def file(self) -> Path:
        """Where the counts of this user are."""
        from platformdirs import user_state_path  # not before the server has started

        return user_state_path("inkling") / "statistics.db"

    def add(self, day: date, counts: dict[str, Acceptance]) -> None:
        """Add counts by language. A database that cannot be written loses them, and is logged."""
        adding = ", ".join(f"{it} = {it} + excluded.{it}" for it in _COLUMNS)
        sql = (
            f"INSERT INTO acceptance (day, language, {', '.join(_COLUMNS)}) "
            f"VALUES (?, ?{', ?' * len(_COLUMNS)}) ON CONFLICT (day, language) DO UPDATE SET {adding}"
        )
        rows = [(day.isoformat(), language, *astuple(it)) for language, it in counts.items()]
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with self._open() as database:
                database.executemany(sql, rows)
        except OSError as error:
            logger.warning("%s cannot be written: %s", self.file, error)

    def by_language(self, since: date) -> dict[str, Acceptance]:
        """The sums from a day on, the languages with the most completions first."""
        sums = ", ".join(f"SUM({it})" for it in _COLUMNS)
        sql = f"SELECT language, {sums} FROM acceptance WHERE day >= ? GROUP BY language"
        if not self.file.exists():
            return {}
        try:
            with self._open() as database:
                rows = database.execute(sql, (since.isoformat(),)).fetchall()
        except OSError as error:
            logger.warning("%s cannot be read: %s", self.file, error)
            return {}
        found = {language: Acceptance(*counts) for language, *counts in rows}
        return dict(sorted(found.items(), key=lambda it: -it[1].shown))

    @contextmanager
    def _open(self) -> "Iterator[sqlite3.Connection]":
        """The database, in one transaction. Raises OSError."""
        import sqlite3  # not before the server has started

        columns = ", ".join(f"{it} INTEGER NOT NULL" for it in _COLUMNS)
        try:
            with closing(sqlite3.connect(self.file, timeout=BUSY_TIMEOUT_S)) as database, database:
                database.execute(
                    "CREATE TABLE IF NOT EXISTS acceptance (day TEXT, language TEXT, "
                    f"{columns}, PRIMARY KEY (day, language))"
                )
                yield database
        except sqlite3.Error as error:
            raise OSError(str(error)) from error


def statistics_page(counts: dict[str, Acceptance], num_days: int) -> str:
    """Markdown: a row for each language and one for all."""
    head = (
        f"# Your completions, last {num_days} days\n\n"
        "Counted on this machine and sent nowhere. *Kept*: of the characters you accepted, what was "
        "still there 30 seconds later.\n"
    )
    if not counts:
        return f"{head}\nNothing yet.\n"
    total = Acceptance()
    for each in counts.values():
        total.add(each)
    rows = [_row(language, it) for language, it in counts.items()]
    table = ["| | shown | accepted | kept |", "|---|---:|---:|---:|", *rows, _row("**all**", total)]
    return "\n".join([head, *table, ""])


def _row(name: str, counts: Acceptance) -> str:
    accepted = f"{counts.accepted} ({_percent(counts.accepted, counts.shown)})"
    kept = f"{counts.kept} of {counts.checked} ({_percent(counts.kept, counts.checked)})"
    return f"| {name} | {counts.shown} | {accepted} | {kept} |"


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %" if whole else "–"
