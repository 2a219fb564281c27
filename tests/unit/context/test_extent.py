"""A line or a block? Each picture is one rule of `extent_at`."""

import pytest

from inkling.context.syntax import extent_at, parse
from inkling.core import Extent
from tests.pictures import at_cursor


def extent(picture: str, language: str) -> Extent:
    text, offset = at_cursor(picture)
    return extent_at(parse(language, text), text, offset)


@pytest.mark.parametrize(
    "picture",
    [
        "def total(xs):‸\n",
        "def total(xs):\n    ‸\n",
        "def tot‸",
        "# the sum of a list\n‸\n",
        "class A:\n    def a(self):\n        return 1\n\n    ‸\n\n    def b(self):\n        pass\n",
        "    items = [‸\n",
    ],
)
def test_python_block(picture: str) -> None:
    assert extent(picture, "python") is Extent.BLOCK


@pytest.mark.parametrize(
    "picture",
    [
        "x = ‸\n",
        "print(‸)\n",
        "x = foo(‸) + 1\n",
        "# the su‸\n",
        '"""Doc‸\n"""\n',
        '"""Doc\n\n‸\n\nmore"""\n',
        "if ready:‸\n    go()\n",
        "a = 1\n‸\nb = 2\n",
        "if retu‸rn_value:\n",
    ],
)
def test_python_line(picture: str) -> None:
    assert extent(picture, "python") is Extent.LINE


@pytest.mark.parametrize(
    ("picture", "language", "expected"),
    [
        ("function f() {‸}\n", "javascript", Extent.BLOCK),
        ("const f = (a) => ‸\n", "javascript", Extent.BLOCK),
        ("const a = ‸;\n", "typescript", Extent.LINE),
        ("interface Point ‸\n", "typescript", Extent.BLOCK),
        ("const v = <p>hel‸lo</p>;\n", "typescriptreact", Extent.LINE),
        ("// a commen‸\n", "javascriptreact", Extent.LINE),
        ("switch (a) {‸\n", "javascript", Extent.BLOCK),
    ],
)
def test_ecmascript(picture: str, language: str, expected: Extent) -> None:
    assert extent(picture, language) is expected


def test_a_language_without_a_grammar_still_gets_an_answer() -> None:
    assert extent("fn main() {‸\n", "rust") is Extent.BLOCK
    assert extent("let x = ‸;\n", "rust") is Extent.LINE
