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
    original = text = (SAMPLES / name).read_text(encoding="utf-8")
    first = tree = parse(language, text)
    versions = []
    for where, removed, inserted in edits:
        at = int(where * len(text))
        text = text[:at] + inserted + text[at + removed :]
        versions.append(text)
    # And back. Of broken code there is more than one reading, and which is found depends on the way.
    for version in (*versions, *reversed(versions[:-1]), original):
        tree = parse(language, version, tree)
        fresh = parse(language, version)
        assert tree is not None
        assert fresh is not None
        if not fresh.tree.root_node.has_error:
            assert str(tree.tree.root_node) == str(fresh.tree.root_node)
    assert first is not None
    assert tree is not None
    assert str(tree.tree.root_node) == str(first.tree.root_node)


def test_a_language_whose_grammar_does_not_load_has_no_tree(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    missing = replace(LANGUAGES["go"], grammar="tree_sitter_that_is_not_there")
    monkeypatch.setitem(LANGUAGES, "go", missing)
    assert parse("go", "func f() {\n") is None
    assert extent_at(None, "func f() {", 10) is Extent.BLOCK
