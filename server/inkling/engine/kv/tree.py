"""The prefix tree: token sequences whose KV is resident, sharing pages where they agree."""

import heapq
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from inkling.engine.kv.pool import PagePool

# Tokens are kept as bytes: a page of them is compared, or found in a dict, in one go.
_TOKEN = "I"
_TOKEN_SIZE = array(_TOKEN).itemsize


@dataclass(eq=False)
class Node:
    """One page and the tokens in it: a whole page of them, fewer only in a leaf.

    `depth` is how many pages there are from the root to here. A node without a `parent` is the root
    or has been evicted. `last_used` is set where a use ends: those above are evicted later anyway.
    """

    tokens: bytes
    page: int
    parent: "Node | None"
    depth: int
    last_used: int = 0
    children: dict[bytes, "Node"] = field(default_factory=dict)


class Match(NamedTuple):
    """`pages` hold a prompt's first `num_tokens` tokens; the last of them may hold more. `node` is
    the last whole page's."""

    pages: list[int]
    num_tokens: int
    node: Node


class PrefixTree:
    """Finds the longest resident prefix of a prompt, exact to the token."""

    def __init__(self, pool: PagePool, page_len: int) -> None:
        self._pool = pool
        self._page_len = page_len
        self._page_size = page_len * _TOKEN_SIZE
        self._root = Node(b"", -1, None, 0)
        self._leaves: set[Node] = set()
        self._clock = 0

    def match(self, token_ids: Sequence[int], limit: int) -> Match:
        """The longest resident prefix of at most `limit` tokens. Changes only what is recent."""
        data = array(_TOKEN, token_ids).tobytes()[: limit * _TOKEN_SIZE]
        node, pages, size = self._root, [], self._page_size
        for start in range(0, len(data) - size + 1, size):
            child = node.children.get(data[start : start + size])
            if child is None:
                break
            pages.append(child.page)
            node = child
        num_tokens, recent = node.depth * self._page_len, node
        part, agreeing = _most_agreeing(node, data[node.depth * size : (node.depth + 1) * size])
        if part is not None:
            pages.append(part.page)
            num_tokens, recent = num_tokens + agreeing, part
        self._use(recent)
        return Match(pages, num_tokens, node)

    def insert(self, token_ids: Sequence[int], pages: Sequence[int], known: Node) -> Node:
        """Make `pages` of a sequence resident: `pages[i]` holds its i-th `page_len` tokens.

        `known` is the node of a whole page that this sequence is known to agree with, by `match` or
        an earlier `insert`: what comes before is not looked at again. Returns the last whole page's.
        The tree takes references of its own to the pages it keeps; what it has already is kept as
        it is.
        """
        node = self._root if known.parent is None else known
        first, size = node.depth, self._page_size
        data = array(_TOKEN, token_ids[first * self._page_len :]).tobytes()
        recent = node
        for index, page in enumerate(pages[first:]):
            recent = self._child_for(node, data[index * size : (index + 1) * size], page)
            if (index + 1) * size > len(data):
                break
            node = recent
        self._use(recent)
        return node

    def evict(self, num_pages: int) -> int:
        """Free up to `num_pages` pages that only the tree refers to, least recently used first.

        Returns how many were freed.
        """
        # The page only tells apart, for the heap, what was used at once.
        heap = [(leaf.last_used, leaf.page, leaf) for leaf in self._leaves if self._is_unused(leaf)]
        heapq.heapify(heap)
        freed = 0
        while heap and freed < num_pages:
            leaf = heapq.heappop(heap)[-1]
            parent = leaf.parent
            assert parent is not None
            del parent.children[leaf.tokens]
            leaf.parent = None
            self._leaves.remove(leaf)
            self._pool.drop(leaf.page)
            freed += 1
            if parent is not self._root and not parent.children:
                self._leaves.add(parent)
                if self._is_unused(parent):
                    heapq.heappush(heap, (parent.last_used, parent.page, parent))
        return freed

    def pages(self) -> list[int]:
        """Every page the tree refers to, for checks and metrics."""
        found: list[int] = []
        stack = list(self._root.children.values())
        while stack:
            node = stack.pop()
            stack += node.children.values()
            found.append(node.page)
        return found

    def _child_for(self, node: Node, tokens: bytes, page: int) -> Node:
        """The child that has `tokens`, made if need be."""
        if child := node.children.get(tokens):
            return child
        for child in node.children.values():
            if child.tokens.startswith(tokens):
                return child
            if tokens.startswith(child.tokens):  # a leaf that has grown
                self._pool.hold(page)
                self._pool.drop(child.page)
                del node.children[child.tokens]
                child.tokens, child.page = tokens, page
                node.children[tokens] = child
                return child
        self._pool.hold(page)
        child = node.children[tokens] = Node(tokens, page, node, node.depth + 1)
        self._leaves.discard(node)
        self._leaves.add(child)
        return child

    def _use(self, node: Node) -> None:
        self._clock += 1
        node.last_used = self._clock

    def _is_unused(self, node: Node) -> bool:
        return self._pool.count(node.page) == 1


def _most_agreeing(node: Node, tokens: bytes) -> tuple[Node | None, int]:
    """The child that agrees with most of `tokens`, and with how many of them; None: with none."""
    best, most = None, 0
    for child in node.children.values():
        # Most children differ at once, and only a longer agreement is wanted.
        end = (most + 1) * _TOKEN_SIZE
        if end <= len(tokens) and child.tokens[:end] == tokens[:end]:
            best, most = child, _num_agreeing(child.tokens, tokens)
    return best, most


def _num_agreeing(a: bytes, b: bytes) -> int:
    """How many tokens `a` and `b` have in common before they differ."""
    size = _TOKEN_SIZE
    length = min(len(a), len(b)) // size
    return next((i for i in range(length) if a[i * size :][:size] != b[i * size :][:size]), length)
