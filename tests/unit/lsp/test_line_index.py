"""Lines and positions against models that are slow and obvious."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkling.lsp.line_index import Encoding, LineIndex

# Everything that some program takes for a line end, and characters of every width.
PARTS = [
    "a",
    "b",
    "\r",
    "\n",
    "\r\n",
    "\n\n",
    "\f",
    "\v",
    "\x85",
    "\u2028",
    "\u2029",
    "é",
    "€",
    "🎉",
]
texts = st.lists(st.sampled_from(PARTS), max_size=30).map("".join)
encodings = st.sampled_from(Encoding)


def lines_of(text: str) -> list[str]:
    """The contents of a text's lines."""
    return re.split("\r\n|\r|\n", text)


def width(text: str, encoding: Encoding) -> int:
    """Length in units of `encoding`."""
    if encoding is Encoding.UTF32:
        return len(text)
    if encoding is Encoding.UTF8:
        return len(text.encode())
    return len(text.encode("utf-16-le")) // 2


def places(text: str) -> list[tuple[int, int]]:
    """Line and column, in code points, of every offset that an editor's cursor can be at."""
    return [(n, c) for n, line in enumerate(lines_of(text)) for c in range(len(line) + 1)]


@given(texts, encodings)
def test_every_place_has_one_position_and_one_offset(text: str, encoding: Encoding) -> None:
    index = LineIndex(text)
    lines = lines_of(text)
    assert index.num_lines == len(lines)
    offsets = []
    for number, column in places(text):
        character = width(lines[number][:column], encoding)
        offset = index.offset_at(text, number, character, encoding)
        assert text[:offset].endswith(lines[number][:column])
        assert index.position_at(text, offset, encoding) == (number, character)
        offsets.append(offset)
    between = {match.start() + 1 for match in re.finditer("\r\n", text)}
    assert offsets == [at for at in range(len(text) + 1) if at not in between]


@pytest.mark.parametrize("end", ["\f", "\v", "\x85", "\u2028", "\u2029", "\x1c"])
def test_nothing_but_cr_and_lf_ends_a_line(end: str) -> None:
    text = f"a{end}b\nc"
    index = LineIndex(text)
    assert index.num_lines == 2
    assert index.offset_at(text, 1, 0, Encoding.UTF16) == 4


@given(texts, encodings, st.integers(0, 9), st.integers(0, 60))
def test_a_position_outside_is_moved_to_the_nearest_place(
    text: str, encoding: Encoding, line: int, character: int
) -> None:
    lines = lines_of(text)
    offset = LineIndex(text).offset_at(text, line, character, encoding)
    if line >= len(lines):
        assert offset == len(text)
        return
    column = max(
        c for c in range(len(lines[line]) + 1) if width(lines[line][:c], encoding) <= character
    )
    assert LineIndex(text).position_at(text, offset, encoding) == (
        line,
        width(lines[line][:column], encoding),
    )


@pytest.mark.parametrize(
    ("encoding", "num_units"), [(Encoding.UTF8, 4), (Encoding.UTF16, 2), (Encoding.UTF32, 1)]
)
def test_a_position_inside_a_character_is_its_start(encoding: Encoding, num_units: int) -> None:
    index = LineIndex("🎉x")
    found = [index.offset_at("🎉x", 0, character, encoding) for character in range(num_units + 2)]
    assert found == [0] * num_units + [1, 2]


@pytest.mark.parametrize(
    ("text", "start", "end", "new"),
    [
        ("a\r\nb", 2, 3, ""),  # the line feed goes
        ("a\rb", 2, 2, "\n"),  # and comes
        ("a\n\nb", 2, 2, "\r"),  # a carriage return comes before one
        ("a\r\nb", 2, 2, "x"),  # something parts the two
        ("a\rx\nb", 2, 3, ""),  # nothing parts them any more
    ],
)
def test_carriage_return_and_line_feed_meet_and_part(
    text: str, start: int, end: int, new: str
) -> None:
    index = LineIndex(text)
    text = text[:start] + new + text[end:]
    index.edit(text, start, end, len(new))
    assert index.num_lines == len(lines_of(text))
    last = len(text) - 1
    assert index.position_at(text, last, Encoding.UTF8) == (index.num_lines - 1, 0)


@given(texts, st.data())
def test_an_edited_index_is_that_of_the_edited_text(text: str, data: st.DataObject) -> None:
    index = LineIndex(text)
    for _ in range(data.draw(st.integers(1, 5))):
        place = st.integers(0, len(text))
        start, end = sorted((data.draw(place), data.draw(place)))
        new = data.draw(texts)
        text = text[:start] + new + text[end:]
        index.edit(text, start, end, len(new))
        fresh = LineIndex(text)
        assert index.num_lines == fresh.num_lines
        for offset in range(len(text) + 1):
            found = index.position_at(text, offset, Encoding.UTF32)
            assert found == fresh.position_at(text, offset, Encoding.UTF32)
