"""One picture at least for each filter."""

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkling.core import Extent
from inkling.postprocess import Draft, Place, apply_filters, cut
from inkling.postprocess.bare_opener import trim_bare_opener
from inkling.postprocess.blanks import stop_at_blanks
from inkling.postprocess.block_end import stop_at_block_end
from inkling.postprocess.prompt_tags import stop_at_prompt_tag
from inkling.postprocess.repetition import num_sure_lines, stop_at_repetition
from inkling.postprocess.single_line import stop_at_line_end
from inkling.postprocess.suffix_lines import stop_at_suffix_line
from inkling.postprocess.suffix_overlap import trim_suffix_overlap
from inkling.postprocess.sure import sure_text
from inkling.postprocess.trailing_space import trim_trailing_space
from inkling.postprocess.unclosed import stop_at_unclosed
from tests.unit.postprocess.pictures import check, draft_of


def test_a_line_completion_ends_with_its_line() -> None:
    check(stop_at_line_end, "x = ├1\ny = 2┤\n", "1", extent=Extent.LINE, is_done=True)
    check(stop_at_line_end, "x = ├1\ny = 2┤\n", "1\ny = 2", extent=Extent.BLOCK, is_done=False)


def test_a_line_goes_on_while_its_brackets_are_open() -> None:
    line = partial(check, stop_at_line_end, extent=Extent.LINE, is_done=True, language="python")
    line("x = ├f(\n    a,\n).g(\n    b\n)\ny = 2┤\n", "f(\n    a,\n).g(\n    b\n)")
    line("x = ├f(\n    a,\n)\ny = 2┤\n\ny = 2\n", "f(\n    a,\n)")
    line("x = ├{\n    1: 2,\n}\n┤\n", "{\n    1: 2,\n}")
    line("x = ├f(  # (\n)\n┤\n", "f(  # (\n)")


def test_a_line_does_not_go_on_where_the_rest_stands() -> None:
    line = partial(check, stop_at_line_end, extent=Extent.LINE, is_done=True, language="python")
    line("x = ├f(\n    a)\n┤\n    a)\n", "f(")
    line("x = ├f(\n    a)\n┤\n)\n", "f(")
    line("x = ├f(\n    a)\n┤ + 1\n", "f(")
    line("g(a, ├f(\n    a))\n┤\n", "f(")
    line("# see ├f(\n#   a)\n┤\n", "f(")
    check(
        stop_at_line_end,
        "const f = ├() => {\n  a();\n}\n┤\n",
        "() => {",
        extent=Extent.LINE,
        language="javascript",
    )
    for language in ("markdown", "kotlin"):  # no marks, no grammar
        check(stop_at_line_end, "see ├f(\na)\n┤\n", "f(", extent=Extent.LINE, language=language)


def test_a_block_completion_ends_with_its_block() -> None:
    picture = "def f():├\n    return 1\n\ndef g():\n    pass┤"
    check(stop_at_block_end, picture, "\n    return 1", is_done=True)
    check(stop_at_block_end, "def f():├\n    return 1┤", "\n    return 1", is_done=False)


@pytest.mark.parametrize("docstring", ['"""Doc."""', '"""Doc.\n\n    More.\n    """'])
def test_the_body_behind_a_docstring_is_the_definitions(docstring: str) -> None:
    picture = f"def f():\n    {docstring}├\n    a = 1\n    return a\n\ndef g():\n    pass┤"
    check(
        stop_at_block_end,
        picture,
        "\n    a = 1\n    return a",
        is_done=True,
        language="python",
    )


def test_a_loop_is_cut_after_its_first_round() -> None:
    check(
        stop_at_repetition,
        "    ├go()\n    a()\n    b()\n    a()\n    b()\n    a()\n    b()\n    c()┤",
        "go()\n    a()\n    b()",
        is_done=True,
    )
    check(stop_at_repetition, "x = [├\n  a,\n  a,\n  a,\n  a,┤", "\n  a,", is_done=True)
    check(stop_at_repetition, "x = '├to the to the to the to the to the ┤", "to the ")
    check(stop_at_repetition, "# ├--------------------------------┤", "-" * 32, is_done=False)


def test_indentation_hides_no_loop() -> None:
    nested = "f(a, {" + "".join(f"\n{' ' * n}object: f(a, {{" for n in range(2, 12, 2))
    check(stop_at_repetition, f"return ├{nested}┤", "f(a, {\n  object: f(a, {", is_done=True)


def test_a_line_stands_at_most_three_times_wherever_it_stands() -> None:
    lines = ["ports=None,", "hosts=None,", "reload=None,", "hosts=None,", "hosts=None,", "x,"]
    text = "\n    ".join([*lines, "hosts=None,"])
    check(stop_at_repetition, f"    ├{text}┤", "\n    ".join(lines), is_done=True)


def test_what_good_code_repeats_is_no_loop() -> None:
    check(stop_at_repetition, "├end()\nend()\n┤", "end()\nend()\n", is_done=False)
    closing = "f({\n  a: {\n    b: {\n      c\n    }\n  }\n}\n}"
    check(stop_at_repetition, f"├{closing}┤", closing, is_done=False)
    matrix = "[\n  [0, 0],\n  [0, 0],\n  [0, 0],\n]"
    check(stop_at_repetition, f"x = ├{matrix}┤", matrix, is_done=False)


@pytest.mark.parametrize(
    ("lines", "sure"),
    [
        (["alpha()", "beta()"], 2),
        (["alpha()", "beta()", "beta()"], 2),
        (["alpha()", "beta()", "alpha()"], 2),
        (["alpha()", "beta()", "alpha()", "beta()", "alpha()"], 2),
        (["alpha()", "beta()", "beta()", "gamma()"], 4),
        (["x({", "    }", "  }", "}"], 4),
        ([], 0),
    ],
)
def test_lines_that_come_again_are_held_back_until_it_is_known_to_be_no_loop(
    lines: list[str], sure: int
) -> None:
    assert num_sure_lines(lines) == sure


def test_it_stops_before_the_line_below() -> None:
    check(
        stop_at_suffix_line,
        "    ├b = 2\n    return a┤\n    return a\n",
        "b = 2",
        is_done=True,
    )
    check(stop_at_suffix_line, "    ├return a┤\n    return a\n", "", is_done=True)
    check(stop_at_suffix_line, "    ├return a┤\n        return a\n", "return a", is_done=False)


def test_a_line_below_that_says_little_stops_only_with_the_one_after_it() -> None:
    for line in ("@property", "# ----", "try:", "/**", "1, 0, 0,"):
        picture = f"    ├{line}\n    other┤\n    {line}\n    third\n"
        check(stop_at_suffix_line, picture, f"{line}\n    other", is_done=False)
        picture = f"    ├a = 1\n    {line}\n    third┤\n    {line}\n    third\n"
        check(stop_at_suffix_line, picture, "a = 1", is_done=True)


def test_a_bracket_of_the_editors_is_kept_once_and_one_of_the_models_stays() -> None:
    check(trim_suffix_overlap, "print(len├(x)┤)\n", "(x)", extent=Extent.LINE)
    check(trim_suffix_overlap, "print(len├(x))┤)\n", "(x)", extent=Extent.LINE)
    check(trim_suffix_overlap, "f('├a'┤'\n", "a", extent=Extent.LINE)
    block = "function f() {├\n  return 1;\n}┤}\n"
    check(trim_suffix_overlap, block, "\n  return 1;\n")
    result = apply_filters(draft_of(block, Extent.BLOCK))
    assert result.text == "\n  return 1;\n"


def test_a_closing_line_waits_where_the_editor_may_have_closed_already() -> None:
    draft = draft_of("function f() {├\n  return 1;\n}\n┤}\n", Extent.BLOCK, is_whole=False)
    assert sure_text(draft) == "\n  return 1;"
    draft = draft_of("function f() {├\n  return 1;\n}\n┤\n", Extent.BLOCK, is_whole=False)
    assert sure_text(draft) == "\n  return 1;\n}"


def test_what_stands_right_of_the_cursor_is_not_written_twice() -> None:
    check(trim_suffix_overlap, "print(├x)┤)\n", "x", extent=Extent.LINE)
    check(trim_suffix_overlap, "f(├a, b)┤) + 1\n", "a, b", extent=Extent.LINE)
    check(trim_suffix_overlap, "x = ├a + b┤ + b\n", "a", extent=Extent.LINE)
    check(trim_suffix_overlap, "print(├x┤)\n", "x", extent=Extent.LINE)


def test_a_run_of_blanks_ends_a_completion() -> None:
    check(stop_at_blanks, "def f():├\n    return 1\n\n  \n\nx = 1┤", "\n    return 1")
    check(stop_at_blanks, f"x = 1├{' ' * 100}┤", "")
    two = "def f():├\n    return 1\n\n\ndef g(): ...┤"
    check(stop_at_blanks, two, "\n    return 1\n\n\ndef g(): ...", is_done=False)


@pytest.mark.parametrize("line_before", ["def f():", "    ", "# Add two.\n"])
@pytest.mark.parametrize("blanks", [" " * 90, "\n" + "\t" * 90, "\n    " * 5])
def test_nothing_but_blanks_ends_while_other_filters_wait(line_before: str, blanks: str) -> None:
    draft = draft_of(f"{line_before}├{blanks}┤\n", Extent.BLOCK, is_whole=False, language="python")
    result = apply_filters(draft)
    assert (result.text.strip(), result.is_done, result.cut_by) == ("", True, "blanks")


@pytest.mark.parametrize(
    ("picture", "kept"),
    [
        ('x = ├environ["A┤\n', "environ"),
        ('x = split(├os.environ["A┤)\n', "os.environ"),
        ('x = f(├types, "Corou┤)\n', "types, "),
        ('return ├getattr(self, f"visit_{a}, None)┤\n', "getattr"),
        ('├"""┤\n', ""),
        ("├print(┤\n", "print("),
        ("├print(a,┤\n", "print(a,"),
        ("├items = [┤\n", "items = ["),
        ("x = f(├g(a┤)\n", "g(a"),
        ('x = "├a" + b┤\n', 'a" + b'),
        ("x = ├1  # it's (┤\n", "1  # it's ("),
    ],
)
def test_a_line_leaves_nothing_open_by_accident(picture: str, kept: str) -> None:
    check(stop_at_unclosed, picture, kept, language="python")


@pytest.mark.parametrize(
    ("picture", "kept"),
    [
        ('def f():├\n    """┤', ""),
        ('def f():├\n    r"""┤', ""),
        ('def f():\n    ├"""┤', ""),
        ('def f(├a):\n    """┤', "a):"),
        ('def f():  # noqa├\n    """┤', ""),
        ('def f(a="x├"):\n    """┤', '"):'),
        ('def f():├\n    """Say┤', '\n    """Say'),
        ('def f():├\n    """Say."""┤', '\n    """Say."""'),
        ('def f():\n    """Say.├\n    """┤', '\n    """'),
        ('├a = 1\nreturn """┤', 'a = 1\nreturn """'),
        ('text = ├"""┤', '"""'),
        ('├"""┤"""\n', '"""'),
        ('text = ├""┤\n', '""'),
    ],
)
@pytest.mark.parametrize("is_whole", [True, False])
def test_quotes_that_open_a_docstring_are_not_shown_alone(
    picture: str, kept: str, is_whole: bool
) -> None:
    draft = draft_of(picture, Extent.BLOCK, is_whole=is_whole, language="python")
    result = trim_bare_opener(draft)
    assert result.text.rstrip() == kept
    assert draft.text.startswith(result.text)
    assert is_whole or not result.is_done


def test_the_prompts_own_form_ends_a_completion() -> None:
    check(stop_at_prompt_tag, "x = 1├\n</after>\n<before>\nimport os┤", "")
    check(stop_at_prompt_tag, "x = 1├\ny = 2\n</related>\n┤", "\ny = 2")
    check(stop_at_prompt_tag, "├<div>\n<b>┤", "<div>\n<b>", is_done=False)


def test_no_completion_ends_in_white_space() -> None:
    check(trim_trailing_space, "x = ├1  \n  ┤", "1")
    check(trim_trailing_space, "├  \n ┤", "")
    check(trim_trailing_space, "x = ├1  ┤", "1  ", is_whole=False)


def test_an_empty_result_names_its_filter() -> None:
    draft = draft_of("    ├return a┤\n    return a\n", Extent.BLOCK)
    assert apply_filters(draft).cut_by == "the line below"


@given(
    st.text(alphabet="ab (){}:\n\t", max_size=80),
    st.text(alphabet="ab :\t", max_size=6),
    st.text(alphabet="ab)\n", max_size=12),
    st.sampled_from(Extent),
    st.booleans(),
)
def test_cuts_only_ever_shorten(
    text: str, line_before: str, suffix: str, extent: Extent, is_whole: bool
) -> None:
    result = cut(Draft(text, Place(line_before, suffix, extent), is_whole))
    assert text.startswith(result.text)
