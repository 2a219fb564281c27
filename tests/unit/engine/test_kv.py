"""Pages, prefix tree, copy-on-write: what a sequence claims to hold is what its pages hold."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from inkling.engine.kv import CacheFull, KVCache, Sequence
from tests.unit.engine.toy import ToyStore

TOKENS = st.lists(st.integers(0, 2), min_size=1, max_size=14)


class KVMachine(RuleBasedStateMachine):
    """Random requests that open, write, rewind, fork and close, in a cache that is too small."""

    def __init__(self) -> None:
        super().__init__()
        self.store = ToyStore(num_pages=12, page_len=4)
        self.cache = KVCache(self.store)
        self.open: list[Sequence] = []

    @rule(prompt=TOKENS, limit=st.integers(0, 14))
    def open_one(self, prompt: list[int], limit: int) -> None:
        if len(self.open) < 3:
            sequence = self.cache.open(prompt, min(limit, len(prompt)))
            assert sequence.token_ids == prompt[: sequence.num_reused]
            assert sequence.num_reused <= limit
            self.open.append(sequence)

    @precondition(lambda self: self.open)
    @rule(data=st.data(), tokens=TOKENS)
    def write(self, data: st.DataObject, tokens: list[int]) -> None:
        sequence = data.draw(st.sampled_from(self.open))
        try:
            self.cache.reserve(sequence, len(tokens))
        except CacheFull:
            return
        for at, token in enumerate(tokens, len(sequence)):
            self.store.slots[sequence.pages[at // 4]][at % 4] = token
        self.cache.append(sequence, tokens)

    @precondition(lambda self: self.open)
    @rule(data=st.data(), part=st.floats(0, 1))
    def rewind(self, data: st.DataObject, part: float) -> None:
        sequence = data.draw(st.sampled_from(self.open))
        self.cache.truncate(sequence, int(part * len(sequence)))

    @precondition(lambda self: self.open and len(self.open) < 3)
    @rule(data=st.data())
    def fork(self, data: st.DataObject) -> None:
        self.open.append(self.cache.fork(data.draw(st.sampled_from(self.open))))

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def remember(self, data: st.DataObject) -> None:
        self.cache.remember(data.draw(st.sampled_from(self.open)))

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def close(self, data: st.DataObject) -> None:
        sequence = data.draw(st.sampled_from(self.open))
        self.open.remove(sequence)
        self.cache.close(sequence)
        assert reused(self.cache, sequence.token_ids) == len(sequence)

    @invariant()
    def every_page_is_accounted_for(self) -> None:
        self.cache.check_integrity()

    @invariant()
    def pages_hold_what_sequences_say(self) -> None:
        for sequence in self.open:
            held = [token for page in sequence.pages for token in self.store.slots[page]]
            assert held[: len(sequence)] == sequence.token_ids


TestKV = KVMachine.TestCase
TestKV.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)


def write(cache: KVCache, store: ToyStore, sequence: Sequence, tokens: list[int]) -> None:
    cache.reserve(sequence, len(tokens))
    for at, token in enumerate(tokens, len(sequence)):
        store.slots[sequence.pages[at // 4]][at % 4] = token
    cache.append(sequence, tokens)


def remembered(num_pages: int, *prompts: list[int]) -> tuple[KVCache, ToyStore]:
    store = ToyStore(num_pages, 4)
    cache = KVCache(store)
    for prompt in prompts:
        sequence = cache.open(prompt, len(prompt))
        write(cache, store, sequence, prompt[len(sequence) :])
        cache.close(sequence)
    return cache, store


def reused(cache: KVCache, prompt: list[int]) -> int:
    sequence = cache.open(prompt, len(prompt))
    cache.close(sequence)
    return sequence.num_reused


def test_reuse_is_exact_to_the_token_for_several_prompts() -> None:
    first, second = list(range(11)), [*range(6), 90, 91, 92]
    cache, _ = remembered(16, first, second)
    assert reused(cache, first) == 11
    assert reused(cache, second) == 9
    assert reused(cache, [*range(5), 77]) == 5
    assert reused(cache, [*range(11), 11, 12]) == 11
    assert reused(cache, [5]) == 0


def test_of_two_pages_that_agree_in_part_the_better_one_is_reused() -> None:
    for prompts in (([1, 2, 3, 4], [1, 9, 9, 9]), ([1, 9, 9, 9], [1, 2, 3, 4])):
        cache, _ = remembered(16, *prompts)
        assert reused(cache, [1, 2, 3, 7]) == 3


def test_prompts_share_the_pages_of_their_common_prefix() -> None:
    cache, _ = remembered(16, list(range(8)), [*range(8), 1], [*range(8), 2])
    assert cache.num_pages_used == 4


def test_the_least_recently_used_prompt_is_evicted() -> None:
    cache, store = remembered(4, [1] * 8, [2] * 8)
    assert reused(cache, [1] * 8) == 8
    sequence = cache.open([3] * 4, 4)
    write(cache, store, sequence, [3] * 4)
    assert reused(cache, [1] * 8) == 8
    assert reused(cache, [2] * 8) == 4
    cache.close(sequence)


def test_what_is_used_again_at_its_end_is_recent_as_a_whole() -> None:
    cache, store = remembered(8, [1] * 12, [2] * 12)
    assert reused(cache, [1] * 12) == 12
    sequence = cache.open([3], 0)
    write(cache, store, sequence, [3] * 20)
    assert reused(cache, [1] * 12) == 12
    assert reused(cache, [2] * 12) == 0
    cache.close(sequence)


def test_a_page_reserved_ahead_does_not_hide_that_the_one_before_is_shared() -> None:
    cache, store = remembered(8)
    sequence = cache.open([1] * 3, 0)
    write(cache, store, sequence, [1] * 3)
    cache.reserve(sequence, 2)
    twin = cache.fork(sequence)
    write(cache, store, sequence, [2])
    assert store.slots[twin.pages[0]][:3] == [1] * 3
    assert sequence.pages[0] != twin.pages[0]
    cache.close(sequence)
    cache.close(twin)
    cache.check_integrity()


def test_a_place_in_the_tree_that_was_evicted_is_found_again() -> None:
    """Two that run at once compute the same pages; the tree keeps one's, and may give them back
    while the other still runs."""
    cache, store = remembered(6)
    first, second = cache.open([1] * 8, 0), cache.open([1] * 8, 0)
    for sequence in (first, second):
        write(cache, store, sequence, [1] * 8)
        cache.remember(sequence)
    cache.close(first)
    other = cache.open([2] * 8, 0)
    write(cache, store, other, [2] * 16)
    cache.check_integrity()
    cache.close(other)
    cache.close(second)
    cache.check_integrity()
    assert reused(cache, [1] * 8) == 8


def test_a_cache_full_of_running_requests_says_so() -> None:
    cache, store = remembered(2)
    sequence = cache.open([1] * 9, 9)
    write(cache, store, sequence, [1] * 8)
    with pytest.raises(CacheFull, match="raise engine.kv_tokens"):
        cache.reserve(sequence, 1)
    cache.close(sequence)
    assert reused(cache, [1] * 8) == 8
