"""The prefix tree: token sequences whose KV is resident, sharing pages where they agree."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from inkling.engine.kv.pool import PagePool


class Match(NamedTuple):
    """`pages` hold a prompt's first `num_tokens` tokens; the last of them may hold more."""

    pages: list[int]
    num_tokens: int


@dataclass(eq=False)
class _Node:
    """One page and the tokens in it: `page_len` of them, fewer only in a leaf."""

    tokens: tuple[int, ...]
    page: int
    parent: "_Node | None"
    last_used: int = 0
    children: list["_Node"] = field(default_factory=list)


class PrefixTree:
    """Finds the longest resident prefix of a prompt, exact to the token."""

    def __init__(self, pool: PagePool, page_len: int) -> None:
        self._pool = pool
        self._page_len = page_len
        self._root = _Node((), -1, None)
        self._clock = 0

    def match(self, token_ids: Sequence[int], limit: int) -> Match:
        """The longest resident prefix of at most `limit` tokens. Changes only what is recent."""
        self._clock += 1
        node, pages, position = self._root, [], 0
        while position < limit:
            wanted = tuple(token_ids[position : min(position + self._page_len, limit)])
            best, agreeing = None, 0
            for child in node.children:
                length = _common_prefix(child.tokens, wanted)
                if length > agreeing:
                    best, agreeing = child, length
            if best is None:
                break
            best.last_used = self._clock
            pages.append(best.page)
            position += agreeing
            if agreeing < self._page_len:
                break
            node = best
        return Match(pages, position)

    def insert(self, token_ids: Sequence[int], pages: Sequence[int]) -> None:
        """Make a sequence resident: `pages[i]` holds its i-th `page_len` tokens.

        The tree takes references of its own to the pages it keeps; what it has already is kept as
        it is.
        """
        self._clock += 1
        node = self._root
        for index, page in enumerate(pages):
            start = index * self._page_len
            tokens = tuple(token_ids[start : start + self._page_len])
            node = self._child_for(node, tokens, page)
            node.last_used = self._clock
            if len(node.tokens) < self._page_len:
                return

    def evict(self, num_pages: int) -> int:
        """Free up to `num_pages` pages that only the tree refers to, least recently used first.

        Returns how many were freed.
        """
        freed = 0
        while freed < num_pages:
            leaves = [leaf for leaf in self._leaves() if self._pool.count(leaf.page) == 1]
            if not leaves:
                break
            leaves.sort(key=lambda leaf: leaf.last_used)
            for leaf in leaves[: num_pages - freed]:
                assert leaf.parent is not None
                leaf.parent.children.remove(leaf)
                self._pool.drop(leaf.page)
                freed += 1
        return freed

    def pages(self) -> list[int]:
        """Every page the tree refers to, for checks and metrics."""
        return [node.page for node in self._nodes()]

    def _child_for(self, node: _Node, tokens: tuple[int, ...], page: int) -> _Node:
        for child in node.children:
            if child.tokens[: len(tokens)] == tokens:
                return child
            if tokens[: len(child.tokens)] == child.tokens:  # a leaf that has grown
                self._pool.hold(page)
                self._pool.drop(child.page)
                child.tokens, child.page = tokens, page
                return child
        self._pool.hold(page)
        child = _Node(tokens, page, node)
        node.children.append(child)
        return child

    def _leaves(self) -> Iterator[_Node]:
        return (node for node in self._nodes() if not node.children)

    def _nodes(self) -> Iterator[_Node]:
        stack = list(self._root.children)
        while stack:
            node = stack.pop()
            stack += node.children
            yield node


def _common_prefix(a: Sequence[int], b: Sequence[int]) -> int:
    length = 0
    for x, y in zip(a, b, strict=False):
        if x != y:
            break
        length += 1
    return length
