"""What is left of a text after typing, as editors type."""

import pytest

from inkling.typed_text import Typed, rest_before, rest_of, typed_since
from tests.pictures import at_cursor


@pytest.mark.parametrize(
    ("before", "after", "typed"),
    [
        ("x = ‸\ny", "x = ab‸\ny", Typed("ab", "")),
        ("x = ‸\ny", "x = ‸\ny", Typed("", "")),
        ("x = ‸\r\ny", "x = a\r\n  b‸\r\ny", Typed("a\n  b", "")),
        ("x = ‸\n", "x = f(‸)\n", Typed("f(", ")")),
        ("x = ‸\n", 'x = f(["‸"])\n', Typed('f(["', '"])')),
        ("‸\n", '"""‸"""\n', Typed('"""', '"""')),
        ("f‸\n", "f {\n    ‸\n}\n", Typed(" {\n    ", "\n}")),
        ("f‸\r\n", "f {\r\n    ‸\r\n}\r\n", Typed(" {\n    ", "\n}")),
    ],
)
def test_what_was_typed(before: str, after: str, typed: Typed) -> None:
    origin, start = at_cursor(before)
    assert typed_since(origin, start, *at_cursor(after)) == typed


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("x = ‸\ny", "z = ‸\ny"),
        ("x = ‸\ny", "x = ‸\nz"),
        ("x = ‸\ny", "x =‸ \ny"),
        ("x = ‸\n", "x = a‸ b\n"),
        ("x = ‸\ny", "x = a‸\n"),
    ],
)
def test_a_change_elsewhere_is_not_typing(before: str, after: str) -> None:
    origin, start = at_cursor(before)
    assert typed_since(origin, start, *at_cursor(after)) is None


@pytest.mark.parametrize(
    ("text", "typed", "rest"),
    [
        ("a + b", "a ", "+ b"),
        ("a + b", "a + b", ""),
        ("a + b", "b", None),
        ("a", "a + b", None),
        # An editor's own indentation, where the text has it too, and where its line is empty.
        ("\n    a\n    b", "\n    ", "a\n    b"),
        ("\n    a\n\n    b", "\n    a\n    ", "\n    b"),
        ("\n    a\n\n    b", "\n    a\n    \n    ", "b"),
        ("\n    a\n  \n    b", "\n    a\n\n    b", ""),
        ("\n    a", "\n        ", None),
        ("\n    a", "\n    \n", None),
        ("a", "a  ", None),
    ],
)
def test_what_typing_leaves(text: str, typed: str, rest: str | None) -> None:
    assert rest_of(text, typed) == rest


@pytest.mark.parametrize(
    ("rest", "closer", "inside"),
    [
        ("a)", ")", "a"),
        ("a) + (b)", ")", "a) + (b"),
        ("f(a), b) + 1", ")", "f(a), b"),
        ('a" + b', '"', "a"),
        ("a\n}", "\n}", "a"),
        ("a\n}\nb", "\n}", "a"),
        ("a", ")", None),
    ],
)
def test_a_closer_of_the_editors_is_not_doubled(rest: str, closer: str, inside: str | None) -> None:
    assert rest_before(rest, closer) == inside
