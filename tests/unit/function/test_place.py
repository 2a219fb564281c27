"""Where a function is described, by pictures."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkling.context.syntax import parse
from inkling.function.place import function_place
from tests.unit.function.pictures import drawn, place_in

PYTHON = [
    ("# total of an order‸\n", "# total of an order├\n▸┤\n"),
    ("# total of\n# an or‸der", "# total of\n# an order├\n▸┤"),
    ("# tot‸al of\n# an order\n\nx = 1\n", "# total of\n# an order├\n▸┤\n\nx = 1\n"),
    (
        "# total of an order\n‸\n\ndef g():\n    pass\n",
        "# total of an order\n├▸┤\n\ndef g():\n    pass\n",
    ),
    (
        "class A:\n    # total of an order\n    ‸\n",
        "class A:\n    # total of an order\n├    ▸┤\n",
    ),
    ("# total of an order\r\n‸\r\n", "# total of an order\r\n├▸┤\r\n"),
    ("def f(a):‸\n", "def f(a):├\n    ▸┤\n"),
    ("def f(a):\n    ‸\n", "def f(a):├\n    ▸┤\n"),
    ("def f(a): ...‸\n", "def f(a):├\n    ▸┤\n"),
    ("def f(a):\n    pass‸\n\nx = 1\n", "def f(a):├\n    ▸┤\n\nx = 1\n"),
    ("def f(a):\n    '''Doc.'''‸\n", "def f(a):\n    '''Doc.'''├\n    ▸┤\n"),
    ("def f(a):\n    '''Doc.'''\n    ‸\n", "def f(a):\n    '''Doc.'''├\n    ▸┤\n"),
    (
        "class A:\n  def f(self):‸\n    '''Doc.'''\n    raise NotImplementedError(a)\n\n  def g(): 1\n",
        "class A:\n  def f(self):\n    '''Doc.'''├\n    ▸┤\n\n  def g(): 1\n",
    ),
    ("async def f(a):\n    # TODO: all of it\n    pass‸\n", "async def f(a):├\n    ▸┤\n"),
]
NO_PLACE = [
    "x = 1‸\n",
    "# total of an order‸\nx = 1\n",
    "x = 1  # total of an order‸\n",
    "#!/usr/bin/env python‸\n",
    "# noqa: all of it‸\n",
    "# total‸\n",
    "# total of an order\n\n\n\n‸\n",
    "def f(a):\n    return a‸\n",
    "def f(a):\n    x = 1\n    # the total of it\n    ‸\n",
    "def f(a):\n    '''Doc.'''\n    return‸ 1\n",
    "class A:‸\n",
    "class A:\n    '''About a class.'''‸\n",
    "def f(a):\n    pass\n\n\n\n‸\n",
    "‸",
]
OTHERS = [
    ("javascript", "// total of an order‸\n", "// total of an order├\n▸┤\n"),
    ("javascript", "/**\n * Total of it.\n */\n‸\n", "/**\n * Total of it.\n */\n├▸┤\n"),
    ("javascript", "/**\n * Total ‸of it.\n */", "/**\n * Total of it.\n */├\n▸┤"),
    ("javascript", "function f(a) {}‸\n", "function f(a) {├\n  ▸\n┤}\n"),
    ("javascript", "const f = (a) => {};‸\n", "const f = (a) => {├\n  ▸\n┤};\n"),
    (
        "typescript",
        'class A {\n\tf(a: number): string {‸\n\t\tthrow new Error("not implemented");\n\t}\n}\n',
        "class A {\n\tf(a: number): string {├\n\t\t▸\n\t┤}\n}\n",
    ),
    (
        "typescript",
        "function f(a: number) {\n  // TODO\n  ‸\n}\n",
        "function f(a: number) {├\n  ▸\n┤}\n",
    ),
    ("go", "func f(a int) int {\n‸}\n", "func f(a int) int {├\n\t▸\n┤}\n"),
    ("rust", "fn f(a: i32) -> i32 { todo!() }‸\n", "fn f(a: i32) -> i32 {├\n    ▸\n┤}\n"),
    ("rust", "/// Total of all.\n‸\n", "/// Total of all.\n├▸┤\n"),
    (
        "java",
        "class A {\n    int f(int a) {‸\n    }\n}\n",
        "class A {\n    int f(int a) {├\n        ▸\n    ┤}\n}\n",
    ),
    ("shellscript", "# copy all files\n‸\n", "# copy all files\n├▸┤\n"),
    ("javascript", "function f(a) { return a; }‸\n", ""),
    ("javascript", "// total of an order‸\nlet x = 1;\n", ""),
    ("javascript", "function f(a) {\n  // the total of it\n  ‸\n  return a;\n}\n", ""),
    ("c", "#include <stdio.h>‸\n", ""),
]


@pytest.mark.parametrize(("picture", "expected"), PYTHON)
def test_python(picture: str, expected: str) -> None:
    assert drawn(picture) == expected


@pytest.mark.parametrize("picture", NO_PLACE)
def test_nothing_is_described(picture: str) -> None:
    assert drawn(picture) == ""


@pytest.mark.parametrize(("language", "picture", "expected"), OTHERS)
def test_other_languages(language: str, picture: str, expected: str) -> None:
    assert drawn(picture, language) == expected


def test_what_is_described_is_told_in_words() -> None:
    below = place_in("# Total price\n# of an order.\n‸\n")
    assert below is not None and below.description == "Total price of an order."
    stub = place_in("def order_total(order):\n    '''Price of all items.'''‸\n")
    assert stub is not None and "order_total" in stub.description
    assert "Price of all items." in stub.description


@given(
    st.lists(
        st.sampled_from(
            [
                "# total of it",
                "def f(a):",
                "    pass",
                "    '''é",
                "'''",
                "  ",
                "",
                "}",
                "x = {",
                "…",
            ]
        )
    ),
    st.integers(0, 200),
    st.sampled_from(["python", "javascript", "ruby", "go"]),
)
def test_any_cursor_in_any_text_has_a_place_within_it_or_none(
    lines: list[str], offset: int, language: str
) -> None:
    text = "\n".join(lines)
    place = function_place(parse(language, text), text, min(offset, len(text)))
    if place is not None:
        assert 0 <= place.start <= place.end <= len(text)
        before, behind = place.around(text)
        assert before.startswith(text[: place.start])
        assert behind.endswith(text[place.end :])
