"""Brackets in code are told from those in strings and comments."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkling.context.marks import marks_of, match, scan


@pytest.mark.parametrize(
    ("language", "text", "brackets", "inside"),
    [
        ("python", "f('(', \"[\") # {", "()", "\n"),
        ("python", "f('''(\n'(\n''')", "()", ""),
        ("python", 'x = "\\"(" + (', "(", ""),
        ("python", "x = 'it ends with its line (\n)", ")", ""),
        ("python", "x = 'half (", "", "'"),
        ("typescript", "a(`${(}`) // (\n/* [ */ {", "(){", ""),
        ("typescript", "/* [ \n (", "", "*/"),
        ("rust", "fn f<'a>(x: &'a str, c: char) { '(' }", "(){}", ""),
        ("lua", "--[[ ( ]] f([[ ( ]]) -- (", "()", "\n"),
    ],
)
def test_marks(language: str, text: str, brackets: str, inside: str) -> None:
    marks = marks_of(language)
    assert marks is not None
    found = scan(text, marks)
    assert "".join(char for _, char in found.brackets) == brackets
    assert all(text[offset] == char for offset, char in found.brackets)
    assert found.inside == inside


def test_a_text_may_begin_in_a_string() -> None:
    marks = marks_of("python")
    assert marks is not None
    found = scan("(' + (", marks, "'")
    assert (found.brackets, found.left_at) == (((5, "("),), 2)


def test_a_language_that_is_not_listed_has_no_marks() -> None:
    assert marks_of("markdown") is None


def test_a_closer_of_an_outer_bracket_closes_the_inner_ones() -> None:
    marks = marks_of("c")
    assert marks is not None
    assert match(scan("{ ( [ } ) [", marks).brackets) == ("[", ")")


@given(st.lists(st.sampled_from(["(", ")", "x ", "'a'", "\n", "# b\n", '"""c\n"""']), max_size=12))
def test_a_text_in_two_pieces_is_scanned_as_one(parts: list[str]) -> None:
    marks = marks_of("python")
    assert marks is not None
    whole = scan("".join(parts), marks)
    for cut in range(len(parts) + 1):
        first = scan("".join(parts[:cut]), marks)
        second = scan("".join(parts[cut:]), marks, first.inside)
        chars = [char for _, char in (*first.brackets, *second.brackets)]
        assert chars == [char for _, char in whole.brackets]
        assert second.inside == whole.inside
