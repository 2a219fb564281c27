from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inkling.context.languages import LANGUAGE_OF_EXTENSION, LANGUAGES
from inkling.context.syntax import extent_at, parse
from inkling.core import Extent

CODE = st.text(alphabet="def f(x):\n    return 'é🎉' # {}[]=\t", max_size=60)


@given(st.lists(CODE, min_size=2, max_size=6))
def test_an_incremental_parse_equals_a_full_one(versions: list[str]) -> None:
    tree = parse("python", versions[0])
    for text in versions[1:]:
        tree = parse("python", text, tree)
        fresh = parse("python", text)
        assert tree is not None
        assert fresh is not None
        assert str(tree.tree.root_node) == str(fresh.tree.root_node)


@given(CODE, st.integers(0, 60), CODE)
def test_an_inserted_text_is_parsed_incrementally(text: str, at: int, inserted: str) -> None:
    new = text[:at] + inserted + text[at:]
    old = parse("typescript", text)
    tree, fresh = parse("typescript", new, old), parse("typescript", new)
    assert tree is not None
    assert fresh is not None
    assert str(tree.tree.root_node) == str(fresh.tree.root_node)


def test_an_unknown_language_has_no_tree() -> None:
    assert parse("cobol", "MOVE A TO B.") is None


SAMPLES = Path(__file__).parent / "samples"
PIECES = st.sampled_from(["{", "}", "(", "end", "\n", " ", '"', "é🎉", "fn f() ", "/*", "#", "<<A"])
# Where (a share of the text), how many characters go, what comes.
EDITS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 20), PIECES), min_size=1, max_size=6)


@pytest.mark.parametrize("name", ["shop.rs", "shop.rb", "shop.cpp", "shop.sh"])
@given(edits=EDITS)
@settings(max_examples=40)
def test_a_reparse_after_edits_equals_a_fresh_parse(
    name: str, edits: list[tuple[float, int, str]]
) -> None:
    language = LANGUAGE_OF_EXTENSION[Path(name).suffix]
    text = (SAMPLES / name).read_text(encoding="utf-8")
    tree = parse(language, text)
    for where, removed, inserted in edits:
        at = int(where * len(text))
        text = text[:at] + inserted + text[at + removed :]
        tree = parse(language, text, tree)
        fresh = parse(language, text)
        assert tree is not None
        assert fresh is not None
        assert str(tree.tree.root_node) == str(fresh.tree.root_node)


def test_a_language_whose_grammar_does_not_load_has_no_tree(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    missing = replace(LANGUAGES["go"], grammar="tree_sitter_that_is_not_there")
    monkeypatch.setitem(LANGUAGES, "go", missing)
    assert parse("go", "func f() {\n") is None
    assert extent_at(None, "func f() {", 10) is Extent.BLOCK


def test_where_parsing_takes_too_long_the_old_tree_stands_in_until_the_next_time() -> None:
    text = "def f(a):\n    return a\n\n\n" * 2000
    old = parse("python", text)
    opened = text[:4000] + '"""' + text[4000:]
    late = parse("python", opened, old, patience_s=0)
    assert late is not None
    last = "return a"
    node = late.node_at(opened.rindex(last) + len(last))
    assert node is not None
    # It moved with the text, though this is inside a string now.
    assert (node.type, late.source[node.start_byte : node.end_byte]) == ("identifier", b"a")
    caught_up, fresh = parse("python", opened + "\n", late), parse("python", opened + "\n")
    assert caught_up is not None
    assert fresh is not None
    assert str(caught_up.tree.root_node) == str(fresh.tree.root_node)


@given(st.lists(st.text(alphabet="ab(:\n \"'", max_size=12), min_size=2, max_size=4))
def test_patience_changes_no_tree_that_is_there_in_time(versions: list[str]) -> None:
    tree = None
    for text in versions:
        tree = parse("python", text, tree, patience_s=10)
        fresh = parse("python", text)
        assert tree is not None
        assert fresh is not None
        assert str(tree.tree.root_node) == str(fresh.tree.root_node)
