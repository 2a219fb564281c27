"""The names in code: what it calls and what it is called, no keywords, comments or strings."""

import re
from collections import Counter

from tree_sitter import Node

from inkling.context.syntax import SyntaxTree

_NAME = re.compile(r"[^\W\d]\w*")


def names_between(tree: SyntaxTree, start: int, end: int) -> Counter[str]:
    """The names that begin in `source[start:end]` (bytes) and how often. Broken code has names too."""
    found: Counter[str] = Counter()
    nodes = [tree.tree.root_node]
    while nodes:
        node = nodes.pop()
        if node.end_byte <= start or node.start_byte >= end or node.type in tree.language.texts:
            continue
        if node.child_count:
            nodes.extend(node.children)
        elif node.start_byte >= start and (name := _name_of(node)):
            found[name] += 1
    return found


def words_in(text: str) -> frozenset[str]:
    """Every word of a text that could be a name."""
    return frozenset(_NAME.findall(text))


def _name_of(leaf: Node) -> str:
    """A leaf's text if it is a name, "" if it is a keyword, a literal or a built-in type."""
    if not leaf.is_named or leaf.text is None or leaf.type.endswith("_type"):
        return ""
    text = leaf.text.decode(errors="replace")
    is_word_of_the_language = leaf.type == text.lower()  # `None` is a `none`, `self` a `self`
    return text if _NAME.fullmatch(text) and not is_word_of_the_language else ""
