"""Filters that look at the document around the cursor: brackets, quotes, echoes, indentation."""

from functools import partial

import pytest

from inkling.core import Extent
from inkling.postprocess import apply_filters
from inkling.postprocess.brackets import stop_at_excess_closer
from inkling.postprocess.chat import drop_chat
from inkling.postprocess.echo import drop_echo
from inkling.postprocess.indentation import use_file_indentation
from inkling.postprocess.quotes import stop_at_excess_quote
from tests.unit.postprocess.pictures import check, draft_of

line = partial(check, extent=Extent.LINE, language="python")


def test_a_bracket_the_editor_has_closed_is_not_closed_again() -> None:
    line(stop_at_excess_closer, "print(├x)┤)\n", "x", is_done=True)
    line(stop_at_excess_closer, "print(├x) + g(y)┤)\n", "x")
    line(stop_at_excess_closer, "print(├f(x)┤)\n", "f(x)", is_done=False)
    line(stop_at_excess_closer, "print(├x, [1])┤\n", "x, [1])", is_done=False)
    line(stop_at_excess_closer, "x = [f(├a)]┤]\n", "a)")


def test_brackets_in_strings_and_comments_do_not_count() -> None:
    line(stop_at_excess_closer, "print(├':)')  # )┤\n", "':)')  # )")
    line(stop_at_excess_closer, "x = '├)'┤\n", ")'")
    line(stop_at_excess_closer, "# (├see below)┤\n", "see below)")


def test_a_block_ends_where_it_closes_what_stands_closed_below() -> None:
    block = partial(check, stop_at_excess_closer, language="typescript")
    block("class A {\n  f() {├\n    g();\n  }\n}┤\n}\n", "\n    g();\n  }\n")
    block("class A {\n  f() {├\n    g();\n  }┤\n}\n", "\n    g();\n  }", is_done=False)
    block("class A {\n  f() {├\n    g();\n  }┤\n  }\n}\n", "\n    g();\n  ")
    # What was out of order before stays the document's own affair.
    block("class A {\n  f() {├\n  }┤\n}\n}\n}\n", "\n  ")


def test_a_language_without_marks_keeps_its_brackets() -> None:
    check(stop_at_excess_closer, "(see├ below)┤)", " below)", language="markdown")


def test_a_string_that_its_line_closes_is_not_closed_twice() -> None:
    line(stop_at_excess_quote, "open('├a.txt', 'w┤')\n", "a.txt', 'w", is_done=False)
    line(stop_at_excess_quote, "open('├a.txt', mode┤')\n", "a.txt", is_done=True)
    line(stop_at_excess_quote, "open('├a.txt')┤\n", "a.txt')", is_done=False)
    line(stop_at_excess_quote, "open('├a\\'b┤')\n", "a\\'b", is_done=False)


@pytest.mark.parametrize(
    ("text", "expect"),
    [
        ("```python\nreturn 1\n```\nThis returns one.", "return 1"),
        ("Here is the completed code:\n\n```python\nreturn 1\n```", "return 1"),
        ("Sure! Here's the function body:\nreturn 1", "return 1"),
        ("return 1\n```", "return 1"),
        ('"""Doc.\n\n```\nf()\n```\n"""', '"""Doc.\n\n```\nf()\n```\n"""'),
        ("Here = 1\nSure = f(2)", "Here = 1\nSure = f(2)"),
        ("```python", ""),
        ("", ""),
    ],
)
def test_of_a_chat_answer_only_the_code_stays(text: str, expect: str) -> None:
    check(drop_chat, f"├{text}┤\n", expect, language="python")


def test_fences_in_strings_and_prose_are_the_documents_own() -> None:
    check(drop_chat, '"""Use it:\n├```\nf()\n```┤\n', "```\nf()\n```", language="python")
    check(drop_chat, "├```python\nf()\n```┤\n", "```python\nf()\n```", language="markdown")


def test_chat_waits_until_it_is_known_to_be_none() -> None:
    for text in ("`", "```py", "Here", "Here is the", "Sure", "```python\nHere is"):
        check(drop_chat, f"├{text}┤\n", "", is_whole=False, language="python")
    for text in ("f`", "Her = 1", "```py x", "value"):
        check(drop_chat, f"├{text}┤\n", text, is_whole=False, language="python")


def test_an_echo_of_the_comment_above_is_left_out() -> None:
    picture = "def f():\n    # Add two.\n    ├# Add two.\n    return 2┤\n"
    check(drop_echo, picture, "return 2")
    check(drop_echo, "# Add two.├\n# Add two.\nreturn 2┤\n", "\nreturn 2")
    check(drop_echo, "# a b\n# c d\n├# a b\n# c d\nx = 1┤\n", "x = 1")
    check(drop_echo, "# a b\n├# a c\nx = 1┤\n", "# a c\nx = 1")
    check(drop_echo, "# -----\n├# -----┤\n", "# -----")


def test_an_echo_of_the_code_above_is_left_out_and_a_loop_of_it_ends_the_completion() -> None:
    above = "    data = load()\n    check(data)\n"
    echo = above.removeprefix("    ")
    check(drop_echo, f"{above}    ├{echo}    return data┤\n", "return data")
    check(drop_echo, f"{above}    ├{echo}{above}    return data┤\n", "", is_done=True)
    check(drop_echo, f"{above}    ├check(data)┤\n", "", extent=Extent.LINE)
    check(drop_echo, "    x()\n    ├x()┤\n", "x()", extent=Extent.LINE)  # says too little
    check(drop_echo, "    check(data)\n├check(data)┤\n", "check(data)")  # stands elsewhere


def test_an_echo_waits_until_it_is_known_to_be_none() -> None:
    above = "    # Add two.\n    "
    check(drop_echo, f"{above}├# Add┤\n", "", is_whole=False)
    check(drop_echo, f"{above}├# Add two.\n  ┤\n", "", is_whole=False)
    check(drop_echo, f"{above}├# Add two.\n    ret┤\n", "ret", is_whole=False)
    check(drop_echo, f"{above}├# Also┤\n", "# Also", is_whole=False)


TABS = "if a:\n\tif b:\n\t\tc()\n"
TWO = "if a:\n  if b:\n    c()\n"
FOUR = "if a:\n    if b:\n        c()\n"


@pytest.mark.parametrize(
    ("file", "cursor", "text", "expect"),
    [
        (TABS, "\tif d:", "\n        e()\n        f()", "\n\t\te()\n\t\tf()"),
        (TABS, "\tif d:", "\n\t\te()", "\n\t\te()"),
        (TABS, "\t", "e()\n  f()\n  if g:\n    h()", "e()\n\tf()\n\tif g:\n\t\th()"),
        (FOUR, "if d:", "\n\te()\n\tif f:\n\t\tg()", "\n    e()\n    if f:\n        g()"),
        (
            TWO,
            "  if d:",
            "\n      e()\n      if f:\n          g()",
            "\n    e()\n    if f:\n      g()",
        ),
        (FOUR, "    if d:", "\n      e()", "\n        e()"),
        (FOUR, "x = f(", "\n  a,\n)", "\n  a,\n)"),
        (FOUR, "if d:", '\n\te("""\n\t\tx\n\t""")', '\n    e("""\n\t\tx\n\t""")'),
        ("", "if d:", "\n  e()", "\n  e()"),
    ],
)
def test_indentation_is_the_files_own(file: str, cursor: str, text: str, expect: str) -> None:
    check(use_file_indentation, f"{file}{cursor}├{text}┤\n", expect, language="python")


def test_indentation_waits_for_the_whole_run() -> None:
    check(use_file_indentation, f"{FOUR}if d:├\n\t┤", "\n", is_whole=False, language="python")
    check(use_file_indentation, f"{FOUR}if d:├\n\te┤", "\n    e", is_whole=False, language="python")


def test_what_is_left_of_nothing_but_chat_says_so() -> None:
    draft = draft_of("x = 1\n├```python┤\n", Extent.LINE, language="python")
    assert (apply_filters(draft).text, apply_filters(draft).cut_by) == ("", "chat")
