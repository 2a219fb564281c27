"""Holes as pictures: `⟦…⟧` is what is taken out."""

from pathlib import Path
from textwrap import dedent

import pytest

from inkling.evaluation import KINDS
from inkling.evaluation.holes import Hole, make_holes, spans_in
from inkling.evaluation.sources import NothingToEvaluate, Source, read_sources

SAMPLES = Path(__file__).parents[1] / "context" / "samples"


def python(text: str) -> Source:
    return Source("a.py", "python", dedent(text).lstrip("\n"))


def picture(hole: Hole) -> str:
    return f"{hole.prefix}⟦{hole.truth}⟧{hole.suffix}"


def truths(source: Source, kind: str) -> list[str]:
    data = source.text.encode()
    return [data[start:end].decode() for start, end in spans_in(source)[kind]]


def test_the_rest_of_a_line_begins_at_a_token_and_never_in_prose() -> None:
    source = python("""
        total = price * 2
        # a comment is prose
        said = total  # so is this line
        text = '''of
        several lines'''
    """)
    assert truths(source, "line") == ["= price * 2", "price * 2", "* 2", "2"]


def test_a_statement_is_simple_and_alone_on_its_lines() -> None:
    source = python('''
        """Docstring."""
        import os
        a = b(
            1,
        )
        if a: c = 2; d = 3
        if a:
            return a
    ''')
    assert truths(source, "statement") == ["a = b(\n    1,\n)", "return a"]


def test_a_block_is_what_stands_below_its_header() -> None:
    source = python("""
        def f(
            xs,
        ):
            for x in xs:
                print(x)

            return 1

        if f: pass
    """)
    assert truths(source, "block") == [
        "\n    for x in xs:\n        print(x)\n\n    return 1",
        "\n        print(x)",
    ]


def test_a_described_function_keeps_its_description() -> None:
    source = python('''
        def f(x):
            """Says what it does."""
            return x

        # So does this.
        def g(x):
            return x

        def h(x):
            """Nothing but a docstring."""
    ''')
    assert truths(source, "function") == ["return x", "\n    return x"]
    assert truths(source, "block") == []


def test_arguments_stand_between_a_calls_brackets() -> None:
    source = python("""
        class A(Base):
            x = f(g(1), y="é")
            z = h()
    """)
    assert sorted(truths(source, "arguments")) == ["1", 'g(1), y="é"']


def test_an_import_keeps_its_first_word() -> None:
    source = python("""
        import os.path
        from a import (
            b,
        )
        from c import d
    """)
    assert truths(source, "import") == ["os.path", "c import d"]


def test_without_text_to_the_right_a_closing_bracket_is_to_be_written_too() -> None:
    source = python("x = f(a)\ny = 1\n")
    assert [picture(hole) for hole in make_holes([source], 2, ["arguments"], 0)] == [
        "x = f(⟦a⟧)\ny = 1\n"
    ]
    source = python("x = f(a)\ny = f(b)\n")
    with_suffix, without = make_holes([source], 2, ["arguments"], 0)
    assert picture(with_suffix).count("⟧)") == 1
    assert picture(without).endswith(")⟧")


def test_offsets_are_code_points() -> None:
    [hole, *_] = make_holes([python('s = "🎉é"\nlength = s\n')], 1, ["statement"], 3)
    assert hole.truth in ('s = "🎉é"', "length = s")
    assert hole.prefix + hole.truth + hole.suffix == hole.source.text


def test_the_same_seed_gives_the_same_holes_and_another_one_others() -> None:
    sources = read_sources(SAMPLES)
    holes = make_holes(sources, 40, KINDS, 1)
    assert holes == make_holes(sources, 40, KINDS, 1)
    assert holes != make_holes(sources, 40, KINDS, 2)
    assert len(holes) == len({(hole.kind, hole.source.path, hole.start) for hole in holes}) == 40


def test_holes_are_spread_over_kinds_and_files() -> None:
    sources = read_sources(SAMPLES)
    holes = make_holes(sources, 3 * len(sources), ["line", "statement", "block"], 0)
    for kind in ("line", "statement", "block"):
        paths = [hole.source.path for hole in holes if hole.kind == kind]
        assert len(paths) == len(sources)
        assert len(set(paths)) >= len(sources) - 2  # not every language has each kind


@pytest.mark.parametrize("source", read_sources(SAMPLES), ids=lambda source: source.language)
def test_every_language_has_lines_and_blocks(source: Source) -> None:
    found = spans_in(source)
    assert found["line"]
    assert found["block"] or found["function"]


def test_no_place_is_said() -> None:
    with pytest.raises(NothingToEvaluate, match="no place for a hole"):
        make_holes([python("x = 1\n")], 1, ["import"], 0)
