from hypothesis import given
from hypothesis import strategies as st

from inkling.context.syntax import parse

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
