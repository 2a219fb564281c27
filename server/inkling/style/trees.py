"""Asking syntax trees by queries: tree-sitter walks in C, only what is captured reaches Python."""

from functools import cache

from tree_sitter import Node, Query, QueryCursor

from inkling.context.languages import load_grammar
from inkling.context.syntax import SyntaxTree


def matches(tree: SyntaxTree, query: str) -> list[dict[str, list[Node]]]:
    """What each match of a query captures, in the order of the text."""
    compiled = _compiled(tree.language.grammar, query)
    return [captured for _, captured in QueryCursor(compiled).matches(tree.tree.root_node)]


def nodes(tree: SyntaxTree, query: str) -> list[Node]:
    """All nodes a query captures, in the order of the text."""
    captured = QueryCursor(_compiled(tree.language.grammar, query)).captures(tree.tree.root_node)
    return sorted((it for found in captured.values() for it in found), key=lambda it: it.start_byte)


def text_of(node: Node) -> str:
    return (node.text or b"").decode("utf-8", errors="replace")


@cache
def _compiled(grammar: str, query: str) -> Query:
    language = load_grammar(grammar)
    assert language is not None, "a tree has a grammar"
    return Query(language, query)
