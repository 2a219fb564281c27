"""Where a document was edited last."""

from hypothesis import given
from hypothesis import strategies as st

from inkling.core import Chunk
from inkling.lsp.recent_edits import LINES_AROUND, MAX_PLACES, RecentEdits

LINES = [f"line {n}" for n in range(200)]


def chunks_after(*edits: tuple[int, int, int]) -> tuple[Chunk, ...]:
    recent = RecentEdits()
    for edit in edits:
        recent.note(*edit)
    return recent.chunks("a.py", "\n".join(LINES))


def test_the_newest_place_comes_first_with_the_lines_around_it() -> None:
    newest, older = chunks_after((20, 0, 0), (100, 0, 0))
    assert newest.text.split("\n") == LINES[100 - LINES_AROUND : 100 + LINES_AROUND + 1]
    assert "line 20\n" in older.text


def test_typing_on_at_one_place_is_one_place() -> None:
    assert len(chunks_after((20, 0, 0), (20, 0, 1), (21, 0, 0), (25, 0, 0))) == 1


def test_a_place_moves_with_the_lines_above_it() -> None:
    _, older = chunks_after((150, 0, 0), (10, 2, 12))
    assert "line 160\n" in older.text
    assert f"line {160 - LINES_AROUND - 1}\n" not in older.text


def test_without_edits_there_is_nothing() -> None:
    assert chunks_after() == ()


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 50), st.integers(0, 50))))
def test_there_are_few_places_whatever_is_edited(edits: list[tuple[int, int, int]]) -> None:
    chunks = chunks_after(*edits)
    assert len(chunks) <= MAX_PLACES
    assert all(chunk.text.count("\n") <= 2 * LINES_AROUND for chunk in chunks)
