"""What of a long document is parsed, and that near the cursor it makes no difference."""

from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import inkling
from inkling.context.syntax import SyntaxTree, extent_at, parse
from inkling.context.window import ABOVE, BELOW, HEAD, MARGIN, MIN_LEN, Window, window_at
from inkling.core import Extent
from inkling.postprocess import Draft, Place
from inkling.postprocess.valid_syntax import trim_to_valid_syntax

TYPED = [
    "x = f(",
    "if x:\n    ",
    "def g(a):\n    ",
    '"""Say',
    "# é🎉 ",
    "\n\nclass A:\n    ",
    "]",
    "'",
]


@cache
def long_text() -> str:
    """Real code, with letters of two, three and four bytes in it."""
    files = sorted(Path(inkling.__file__).parent.rglob("*.py"))
    text = 'NAMES = ["é", "語", "🎉"]\n\n\n'.join(it.read_text() + "\n\n" for it in files)
    assert len(text) > 2 * MIN_LEN
    return text


def windowed(text: str, cursor: int, old: SyntaxTree | None = None) -> SyntaxTree:
    tree = parse("python", text, old, cursor)
    assert tree is not None
    return tree


def whole(text: str) -> SyntaxTree:
    tree = parse("python", text)
    assert tree is not None
    return tree


CURSORS = st.integers(ABOVE + HEAD, len(long_text()) - 1)


@settings(max_examples=40, deadline=None)
@given(CURSORS)
def test_bytes_characters_and_lines_stay_where_they_are(cursor: int) -> None:
    text = long_text()
    window = window_at(text, cursor, "python", None)
    if window is None:
        return
    source = window.source()
    assert window.head <= window.start <= cursor <= window.end
    before = text[:cursor].encode()
    assert source[: len(before)].count(b"\n") == before.count(b"\n")
    assert len(source[: len(before)].decode()) == cursor
    near = text[window.start : window.end].encode()
    assert source.endswith(near)
    assert source[len(text[: window.start].encode()) :] == near


@settings(max_examples=30, deadline=None)
@given(CURSORS, st.lists(st.sampled_from(TYPED), min_size=1, max_size=3))
def test_line_or_block_is_decided_as_in_the_whole_document(cursor: int, typed: list[str]) -> None:
    text = long_text()
    at = text.index("\n\n\n", min(cursor, len(text) - 20_000)) + 1
    tree = windowed(text, at)
    for snippet in typed:
        text, at = text[:at] + snippet + text[at:], at + len(snippet)
        tree = windowed(text, at, tree)
        assert extent_at(tree, text, at) == extent_at(whole(text), text, at)


def test_while_typing_the_window_stays_and_its_tree_goes_on() -> None:
    text = long_text()
    at = text.index("\n\n\n", len(text) // 2) + 1
    trees = [windowed(text, at)]
    for char in 'def f(a):\n    """Doc.':
        text, at = text[:at] + char + text[at:], at + 1
        trees.append(windowed(text, at, trees[-1]))
    for older, newer in pairwise(trees):
        assert older.window and newer.window
        assert newer.window.goes_on_from(older.window)
        assert newer.window.end == older.window.end + 1
        assert newer.source == newer.window.source()
    assert len(trees[-1].source) < len(text.encode())


def test_a_cursor_that_goes_elsewhere_gets_another_window() -> None:
    text = long_text()
    first = windowed(text, len(text) // 2)
    assert first.window
    there = first.window.end - MARGIN // 2
    second = windowed(text, there, first)
    assert second.window
    assert not second.window.goes_on_from(first.window)
    assert second.window.end - there >= min(BELOW, len(text) - there)


def test_at_the_top_nothing_is_blank() -> None:
    window = window_at(long_text(), HEAD, "python", None)
    assert window is not None
    assert (window.head, window.start, window.blank) == (0, 0, b"")


def test_a_window_begins_in_no_string_and_in_no_bracket() -> None:
    prose = "Words\n\n" * 4000
    text = "x = 1\n\n" * 3000 + f'T = """\n{prose}"""\n\n' + "y = 2\n\n" * 15_000
    cursor = text.index("y = 2") + ABOVE - 5000
    window = window_at(text, cursor, "python", None)
    assert (
        window is None or not window.start or text[window.start :].startswith(("x =", "T =", "y ="))
    )


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("python", "x = 1\n\n" * 100),
        ("python", "x = [\n" + "  1,\n" * MIN_LEN),
        ("css", "a { b: c }\n\n" * MIN_LEN),
        ("cobol", "MOVE A TO B\n\n" * MIN_LEN),
    ],
    ids=["short", "one statement", "no line comments", "unknown"],
)
def test_where_there_is_no_window_all_is_parsed(language: str, text: str) -> None:
    assert window_at(text, len(text) // 2, language, None) is None


def test_what_was_parsed_whole_stays_whole() -> None:
    text = long_text()
    assert windowed(text + "x", len(text) // 2, whole(text)).window is None


def test_a_block_is_cut_to_valid_syntax_in_a_window_too() -> None:
    text = long_text()
    at = text.index("\n\n\n", len(text) // 2) + 1
    before, suffix = f"{text[:at]}\ndef f():", text[at:]
    tree = windowed(before + suffix, len(before))
    assert tree.window
    place = Place(before, suffix, Extent.BLOCK, "python")
    draft = Draft("\n    x = 1\n    return (\n        x", place, is_whole=True)
    assert trim_to_valid_syntax(draft, tree, 0) == "\n    x = 1"


def test_a_text_that_is_asked_about_again_keeps_its_tree() -> None:
    text = long_text()
    tree = windowed(text, len(text) // 2)
    again = windowed(text, len(text) // 2 + 10, tree)
    assert again.window and tree.window
    assert again.window.goes_on_from(tree.window)
    assert again.tree is tree.tree


def test_line_ends_of_windows_have_windows_too() -> None:
    text = long_text().replace("\n", "\r\n")
    tree = windowed(text, len(text) // 2)
    assert tree.window
    assert len(tree.source) < len(text)


def test_a_window_ends_in_no_string() -> None:
    sql = "SELECT a\n\nFROM b\n\n" * 150
    text = "x = 1\n\n" * 8000 + f'Q = """\n{sql}"""\n\n' + "y = 2\n\n" * 15_000
    cursor = text.index("Q =") - BELOW - 100
    tree = windowed(text, cursor)
    assert tree.window
    assert not tree.tree.root_node.has_error


def test_an_edit_above_the_window_makes_another() -> None:
    text = long_text()
    window = window_at(text, len(text) // 2, "python", None)
    assert isinstance(window, Window)
    assert window.moved("# new\n" + text, len(text) // 2 + 6) is None
