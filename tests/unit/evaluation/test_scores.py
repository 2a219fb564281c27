"""Scores as pictures: `⟦…⟧` is the true text."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkling.context.syntax import parse
from inkling.evaluation.holes import Hole
from inkling.evaluation.names import names_between
from inkling.evaluation.scores import Scores, edit_similarity, f1, levenshtein, score
from inkling.evaluation.sources import Source


def hole_in(picture: str, language: str = "python") -> Hole:
    prefix, _, rest = picture.partition("⟦")
    truth, _, suffix = rest.partition("⟧")
    source = Source("a.py", language, prefix + truth + suffix)
    return Hole("line", source, len(prefix), len(prefix) + len(truth), True)


def scores(picture: str, completion: str) -> Scores:
    return score(hole_in(picture), completion)


@given(st.text("abc", max_size=12), st.text("abc", max_size=12))
def test_the_distance_is_that_of_the_textbook(a: str, b: str) -> None:
    rows = [list(range(len(b) + 1))]
    for i, left in enumerate(a, 1):
        row = [i]
        for j, right in enumerate(b, 1):
            above = rows[-1]
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (left != right)))
        rows.append(row)
    assert levenshtein(a, b) == rows[-1][-1]


def test_similarity_is_one_less_the_share_that_changes() -> None:
    assert edit_similarity("", "") == 1
    assert edit_similarity("kitten", "sitting") == 1 - 3 / 7
    assert edit_similarity("", "abc") == 0


def test_the_true_text_is_perfect_whatever_is_blank_at_its_end() -> None:
    found = scores("def f(x):\n    ⟦return x + 1⟧\n\nf(2)\n", "return x + 1  \n")
    assert found == Scores(
        exact=True,
        first_line=True,
        edit_similarity=1.0,
        name_f1=1.0,
        prefix_chars=12,
        more_errors=0,
        over_chars=0,
        is_suffix_twice=False,
        is_empty=False,
    )


def test_names_count_as_often_as_they_occur_and_keywords_do_not() -> None:
    found = scores("x = ⟦price * count + price⟧\n", 'price if None else f"price"')
    assert found.name_f1 == pytest.approx(2 * 1 / (1 + 3))
    assert scores("x = ⟦1⟧\n", "2").name_f1 is None


@pytest.mark.parametrize(
    ("language", "text", "names"),
    [
        ("python", "self.total = len(items) or None", {"total": 1, "len": 1, "items": 1}),
        ("typescript", "const n: number = this.size", {"n": 1, "size": 1}),
        ("rust", "let n: u32 = self.size(n);", {"n": 2, "size": 1}),
        ("python", "# total\n'total'", {}),
    ],
)
def test_names_are_told_from_the_words_of_the_language(
    language: str, text: str, names: dict[str, int]
) -> None:
    tree = parse(language, text)
    assert tree is not None
    found = names_between(tree, 0, len(tree.source))
    assert {name: found[name] for name in found if name != "self"} == names


def test_f1_of_nothing_is_none() -> None:
    assert f1(Counter(), Counter()) is None
    assert f1(Counter("ab"), Counter()) == 0


def test_a_bracket_too_many_or_too_few_breaks_the_syntax() -> None:
    picture = "x = f(⟦g(1)⟧)\n"
    assert scores(picture, "g(1").more_errors > 0
    assert scores(picture, "g(1))").more_errors > 0
    assert scores(picture, "h(2)").more_errors == 0


def test_nothing_breaks_nothing() -> None:
    found = scores("x = ⟦1⟧\n", "")
    assert (found.is_empty, found.more_errors, found.exact) == (True, 0, False)


def test_what_goes_on_behind_the_true_text_is_over() -> None:
    picture = "x = ⟦a⟧\n"
    assert scores(picture, "a + b").over_chars == 4
    assert scores(picture, "c + b").over_chars == 0


@pytest.mark.parametrize(
    ("picture", "completion", "is_twice"),
    [
        ("a = ⟦1⟧\nreturn a\n", "1\nreturn a", True),
        ("a = ⟦1⟧\n\nb = 2\nreturn a\n", "1\nb = 2\nreturn a", True),
        ("a = ⟦1⟧\nreturn a\n", "2", False),
        ("f(⟦x⟧, other)\n", "x, other", True),
        ("f(⟦x⟧, other)\n", "x, other)", True),
        ("f(⟦x⟧, other)\n", "x, another", False),
        ("f(⟦g(x)⟧)\n", "g(x)", False),
        ("if a {\n  ⟦if b {\n  }⟧\n}\n", "while b {\n  }\n}", False),
        ("x = 1\n⟦x = 1⟧\nx = 1\n", "x = 1", False),
    ],
)
def test_an_end_that_stands_right_of_the_cursor_already(
    picture: str, completion: str, is_twice: bool
) -> None:
    assert scores(picture, completion).is_suffix_twice is is_twice


def test_the_first_line_with_anything_on_it_counts() -> None:
    picture = "if a:⟦\n    b()\n    c()⟧\n"
    assert scores(picture, "\n\n        b()\n").first_line
    assert not scores(picture, "\n    c()\n").first_line
