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


def test_a_cache_full_of_running_requests_says_so() -> None:
    cache, store = remembered(2)
    sequence = cache.open([1] * 9, 9)
    write(cache, store, sequence, [1] * 8)
    with pytest.raises(CacheFull, match="raise engine.kv_tokens"):
        cache.reserve(sequence, 1)
    cache.close(sequence)
    assert reused(cache, [1] * 8) == 8
