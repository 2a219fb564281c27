"""A block that ends in the middle of a statement: `├…┤` is what the model wrote, at the cursor."""

from dataclasses import replace

import pytest

from inkling.context.syntax import parse
from inkling.core import Extent
from inkling.postprocess import apply_filters
from inkling.postprocess.sure import MAX_HELD, sure_text
from inkling.postprocess.valid_syntax import trim_to_valid_syntax
from tests.unit.postprocess.pictures import draft_of

BELOW = "\n\n\ndef g():\n    return 1\n"
ENTRIES = "".join(f'\n        "{name}": {name},' for name in "abcdefghijkl")
LOOP = 3 * '\n        "m": m,'


def trimmed(picture: str, language: str = "python", num_shown: int = 0) -> str:
    draft = apply_filters(draft_of(picture, Extent.BLOCK, language=language))
    tree = parse(language, draft.place.before + draft.place.suffix)
    assert tree is not None
    return trim_to_valid_syntax(draft, tree, num_shown)


def shown(picture: str, language: str = "python") -> str:
    """What may be shown while the model goes on."""
    return sure_text(draft_of(picture, Extent.BLOCK, language=language, is_whole=False))


@pytest.mark.parametrize(
    "end",
    [
        "return {",
        'return (\n        hasattr(s, "e")',
        "return {" + ENTRIES,
        "return {" + ENTRIES + LOOP,  # where a filter ended it
        "return f(\n        [\n            1,\n            2,\n            3,\n        ],",
    ],
)
def test_a_statement_left_open_goes_as_a_whole(end: str) -> None:
    assert trimmed(f"def f():├\n    x = 1\n    {end}┤{BELOW}") == "\n    x = 1"


def test_nothing_is_left_of_a_first_statement_left_open() -> None:
    assert trimmed(f"def f():├\n    return {{{ENTRIES}┤{BELOW}") == ""
    assert trimmed(f"x = 1\n├return [┤{BELOW}") == ""


def test_an_error_that_was_there_excuses_no_statement_left_open() -> None:
    assert trimmed(f"x = ├f(\n    a,┤{BELOW}") == ""
    assert trimmed("x = ├f(\n    a,┤\n)\n") == "f(\n    a,"


def test_another_closer_below_closes_nothing() -> None:
    picture = "function f() {\n  const x = ├foo(a,\n    b,\n    c┤\n}\n"
    assert trimmed(picture, "javascript") == ""


def test_a_line_with_its_brackets_closed_stays_though_it_is_no_statement_yet() -> None:
    assert trimmed(f"x = 1\n├for a in f(1)┤{BELOW}") == "for a in f(1)"


def test_what_is_shown_stays() -> None:
    text = f"\n    x = 1\n    return {{{ENTRIES}"
    assert trimmed(f"def f():├{text}┤{BELOW}", num_shown=len(text)) == text
    assert trimmed(f"def f():├{text}┤{BELOW}", num_shown=10) == "\n    x = 1"


def test_a_whole_statement_stays() -> None:
    text = f"\n    x = 1\n    return {{{ENTRIES}\n    }}"
    assert trimmed(f"def f():├{text}┤{BELOW}") == text


def test_braces_hold_statements_and_a_call_is_one() -> None:
    block = "\n  f() {\n    if (a) {\n      b();\n      c();\n      d();\n      e();"
    assert trimmed(f"class A {{├{block}┤\n", "javascript") == block
    call = "\n  const a = 1;\n  go(\n    a,\n    b,\n    c,\n    d,\n    e,"
    assert trimmed(f"function f() {{├{call}┤\n}}\n", "javascript") == "\n  const a = 1;"


def test_an_open_statement_waits_until_it_is_closed() -> None:
    head = "def f():├\n    x = 1\n    return g(\n        a,\n"
    assert shown(f"{head}┤{BELOW}") == "\n    x = 1"
    assert shown(f"{head}    )\n┤{BELOW}") == "\n    x = 1\n    return g(\n        a,\n    )"
    assert shown(f"def f():├\n    return g(\n        a,\n┤{BELOW}") == ""


def test_a_long_statement_is_not_waited_for() -> None:
    entries = ENTRIES.split("\n")[1 : MAX_HELD + 1]
    for num_entries, num_lines in ((MAX_HELD - 1, 2), (MAX_HELD, MAX_HELD + 3)):
        text = "\n".join(["", "    x = 1", "    return {", *entries[:num_entries], ""])
        assert shown(f"def f():├{text}┤{BELOW}").count("\n") == num_lines - 1


def test_a_block_of_braces_is_shown_while_it_grows() -> None:
    text = "\n  if (a) {\n    b();\n"
    assert shown(f"function f() {{├{text}┤\n", "javascript") == text.rstrip()


def test_a_first_line_that_would_not_stay_waits() -> None:
    draft = draft_of("├x = f(a\n┤\n", Extent.BLOCK, language="python", is_whole=False)
    assert sure_text(draft) == ""
    assert apply_filters(replace(draft, text="x = f(a", is_whole=True)).text == "x = f"
