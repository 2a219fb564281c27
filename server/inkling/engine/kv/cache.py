"""The KV cache as the scheduler uses it: sequences that share pages with what is resident."""

from collections.abc import Callable
from collections.abc import Sequence as TokenIds
from dataclasses import dataclass
from typing import Protocol

from inkling.engine.kv.pool import CacheFull, PagePool
from inkling.engine.kv.tree import Node, PrefixTree


class PageStore(Protocol):
    """What the cache needs of a `KVStore`."""

    @property
    def num_pages(self) -> int: ...
    @property
    def page_len(self) -> int: ...
    def copy_page(self, src: int, dst: int) -> None: ...


@dataclass(eq=False)
class Sequence:
    """One request's tokens whose KV is there, and the pages it lies in. `num_reused` of them were
    resident when it was opened. `known` is where in the prefix tree its last whole page is that was
    looked up or inserted."""

    token_ids: list[int]
    pages: list[int]
    num_reused: int
    known: Node

    def __len__(self) -> int:
        return len(self.token_ids)


class KVCache:
    """Pages of a store, shared between the sequences that run and those that are remembered.

    A sequence writes only into pages that nothing else refers to: a shared last page is copied
    first (copy-on-write).
    """

    def __init__(self, store: PageStore) -> None:
        self.store = store
        self.page_len = store.page_len
        self._pool = PagePool(store.num_pages)
        self._tree = PrefixTree(self._pool, store.page_len)
        self._open: set[Sequence] = set()
        # Asked when running requests hold every page; True: some were given back.
        self.make_room: Callable[[], bool] = lambda: False

    @property
    def num_pages_used(self) -> int:
        """Pages that hold something, running or remembered."""
        return self._pool.num_pages - self._pool.num_free

    def open(self, token_ids: TokenIds[int], limit: int) -> Sequence:
        """A sequence that begins with the longest resident prefix, `limit` tokens at most.

        Close it in the end, whatever happens.
        """
        pages, num_tokens, node = self._tree.match(token_ids, limit)
        self._pool.hold(*pages)
        sequence = Sequence(list(token_ids[:num_tokens]), pages, num_tokens, node)
        self._open.add(sequence)
        return sequence

    def reserve(self, sequence: Sequence, num_tokens: int) -> None:
        """Make room to write `num_tokens` more tokens, evicting what is remembered if need be.

        Raises CacheFull; the sequence is then as it was.
        """
        size = self.page_len
        last, used = divmod(len(sequence), size)
        # Pages after the last one in use, reserved earlier, are nobody else's.
        if used and self._pool.count(sequence.pages[last]) > 1:
            own = self._take()
            self.store.copy_page(sequence.pages[last], own)
            self._pool.drop(sequence.pages[last])
            sequence.pages[last] = own
        while len(sequence.pages) * size < len(sequence) + num_tokens:
            sequence.pages.append(self._take())

    def append(self, sequence: Sequence, token_ids: TokenIds[int]) -> None:
        """Say that the KV of `token_ids` has been written. After the pass, never before it: KV that
        a failed pass left out must not be claimed."""
        sequence.token_ids += token_ids

    def truncate(self, sequence: Sequence, length: int) -> None:
        """Rewind to the first `length` tokens."""
        keep = -(-length // self.page_len)
        self._pool.drop(*sequence.pages[keep:])
        del sequence.pages[keep:]
        del sequence.token_ids[length:]
        while sequence.known.depth * self.page_len > length and sequence.known.parent:
            sequence.known = sequence.known.parent

    def fork(self, sequence: Sequence) -> Sequence:
        """A second sequence with the same tokens, sharing all pages until one of them writes."""
        keep = -(-len(sequence) // self.page_len)
        pages = sequence.pages[:keep]
        self._pool.hold(*pages)
        twin = Sequence(list(sequence.token_ids), pages, sequence.num_reused, sequence.known)
        self._open.add(twin)
        return twin

    def remember(self, sequence: Sequence) -> None:
        """Let others reuse the whole pages of a sequence that still runs."""
        self._insert(sequence, len(sequence) // self.page_len)

    def close(self, sequence: Sequence) -> None:
        """End a sequence; its tokens stay resident until their pages are needed."""
        self._open.discard(sequence)
        self._insert(sequence, -(-len(sequence) // self.page_len))
        self._pool.drop(*sequence.pages)
        sequence.pages.clear()

    def check_integrity(self) -> None:
        """Assert that every reference is accounted for. For tests, and when idle."""
        counted = [0] * self._pool.num_pages
        for page in self._tree.pages():
            counted[page] += 1
        for sequence in self._open:
            for page in sequence.pages:
                counted[page] += 1
        assert counted == [self._pool.count(page) for page in range(self._pool.num_pages)]

    def _insert(self, sequence: Sequence, num_pages: int) -> None:
        pages = sequence.pages[:num_pages]
        sequence.known = self._tree.insert(sequence.token_ids, pages, sequence.known)

    def _take(self) -> int:
        # A few at once: looking for the oldest costs the same for one as for many.
        batch = max(1, self._pool.num_pages // 16)
        while (page := self._pool.take()) is None:
            if self._tree.evict(batch) or self.make_room():
                continue
            raise CacheFull(
                f"the KV cache ({self._pool.num_pages * self.page_len} tokens) is full with running "
                "requests: raise engine.kv_tokens."
            )
        return page
