"""Reuse is invisible, healing is exact, nothing leaks: on a toy model, in milliseconds."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from inkling.core import Priority
from inkling.engine.job import Token
from inkling.engine.sampling import Sampling
from tests.unit.engine.toy import (
    TOKENIZER,
    VOCABULARY,
    Record,
    Toy,
    make_job,
    run,
    toy_logits,
)

PROMPT = st.lists(st.sampled_from([97, 98, 99, 256, 257, 260]), min_size=1, max_size=30)


@pytest.mark.parametrize(
    ("priority", "num_chunks"), [(Priority.INTERACTIVE, 3), (Priority.PREFETCH, 10)]
)
def test_who_must_make_room_for_a_key_takes_smaller_chunks(
    priority: Priority, num_chunks: int
) -> None:
    toy = Toy(chunk_len=8, background_chunk_len=2)
    job = make_job([97, 98] * 10, Record(), max_tokens=0, priority=priority)
    assert sum(1 for _ in toy.generator.run(job)) == num_chunks


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(
            PROMPT,
            st.integers(0, 12),  # max_tokens
            st.integers(0, 4),  # healing
            st.integers(1, 3),  # n
            st.integers(0, 20),  # steps before the client goes away; 20: it stays
            st.integers(0, 3),  # from the last prompt on, less so many tokens; 3: from nothing
            st.sampled_from([Sampling(0.7, 0.9, seed=3), Sampling(), Sampling(logprobs=1)]),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_a_warm_engine_gives_the_tokens_of_a_fresh_one(
    requests: list[tuple[list[int], int, int, int, int, int, Sampling]],
) -> None:
    warm = Toy(num_pages=40, page_len=4)
    last: list[int] = []
    for prompt, max_tokens, healing, n, steps, cut, sampling in requests:
        prompt = [*last[: len(last) - cut], *prompt[:2]] if last and cut < 3 else prompt
        prompt = last = prompt[:60]
        settings_ = {"healing": healing, "n": n, "sampling": sampling}
        record = Record()
        work = warm.generator.run(make_job(prompt, record, max_tokens, **settings_))
        done = all(next(work, "over") is None for _ in range(steps)) is False
        if not done and steps == 20:
            for _ in work:
                pass
            done = True
        work.close()
        warm.cache.check_integrity()
        if done:
            fresh = run(Toy(num_pages=200), prompt, max_tokens, **settings_)
            assert [record.tokens(i) for i in range(n)] == [fresh.tokens(i) for i in range(n)]
            assert [record.data(i) for i in range(n)] == [fresh.data(i) for i in range(n)]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(PROMPT, st.integers(0, 8), st.integers(0, 3), st.integers(1, 2)),
        min_size=2,
        max_size=4,
    ),
    st.lists(st.integers(0, 3), max_size=80),
    st.lists(PROMPT, max_size=12),
)
def test_requests_taking_turns_do_not_see_each_other(
    requests: list[tuple[list[int], int, int, int]], turns: list[int], before: list[list[int]]
) -> None:
    """As the scheduler runs them, pausing one for another after any step, in a cache that older
    prompts fill."""
    warm = Toy(num_pages=130, page_len=4)
    for prompt in before:
        run(warm, prompt * 3, 4)
    records = [Record() for _ in requests]
    sampled = Sampling(0.9, 0.95, seed=7)
    work = [
        warm.generator.run(
            make_job(prompt, record, max_tokens, healing=healing, n=n, sampling=sampled)
        )
        for record, (prompt, max_tokens, healing, n) in zip(records, requests, strict=True)
    ]
    for turn in turns:
        next(work[turn % len(work)], None)
        warm.cache.check_integrity()
    for rest in work:
        for _ in rest:
            pass
    warm.cache.check_integrity()
    for record, (prompt, max_tokens, healing, n) in zip(records, requests, strict=True):
        fresh = run(Toy(num_pages=200), prompt, max_tokens, healing=healing, n=n, sampling=sampled)
        assert [record.tokens(i) for i in range(n)] == [fresh.tokens(i) for i in range(n)]


def test_only_what_is_new_is_computed() -> None:
    toy = Toy()
    prompt = [97, 98, 99] * 7
    assert run(toy, prompt, 1).done.usage.reused == 0
    before = toy.model.num_computed
    usage = run(toy, [*prompt, 97], 1).done.usage
    assert (usage.reused, usage.prefilled) == (21, 1)
    assert toy.model.num_computed - before == 1
    usage = run(toy, prompt[:10], 1).done.usage
    assert (usage.reused, usage.prefilled) == (9, 1)


def test_a_key_within_a_word_needs_no_pass_for_its_first_token() -> None:
    toy = Toy()
    prompt = [97, 98, 99] * 7
    fresh = run(Toy(), [*prompt, 98], 1, healing=1)
    run(toy, [*prompt, 97], 1, healing=1)
    before = toy.model.num_computed
    typed = run(toy, [*prompt, 98], 1, healing=1)
    assert typed.tokens() == fresh.tokens() != [98]
    assert toy.model.num_computed == before
    assert (typed.done.usage.reused, typed.done.usage.prefilled) == (22, 0)


def test_what_is_known_of_evicted_tokens_is_not_used() -> None:
    toy = Toy(num_pages=16, page_len=4)
    prompt = [97, 98, 99] * 7
    expected = run(toy, prompt, 4, healing=1).tokens()
    run(toy, [256, 257] * 25, 1)
    assert run(toy, prompt, 4, healing=1).tokens() == expected


def test_prewarming_makes_the_prompt_resident_and_chooses_nothing() -> None:
    toy = Toy()
    record = run(toy, [97] * 20, 0)
    assert record.tokens() == []
    assert record.done.usage.completion_tokens == 0
    assert run(toy, [97] * 20, 1).done.usage.reused == 19
    assert run(toy, [97] * 20, 0).done.usage.reused == 20


def test_prefill_goes_in_chunks_and_the_healed_end_in_one() -> None:
    toy = Toy(chunk_len=8)
    run(toy, [97] * 21, 1, healing=6)
    assert toy.model.passes == [8, 6, 7]


def brute_force(prompt: list[int], healing: int, num_tokens: int) -> list[int]:
    """Greedy decoding under the required text, the slow and obvious way."""
    ids = prompt[: len(prompt) - healing]
    required = TOKENIZER.decode_bytes(prompt[len(ids) :])
    chosen: list[int] = []
    while len(chosen) < 40:
        logits = toy_logits(ids)
        for token_id in range(len(logits)):
            data = TOKENIZER.token_bytes(token_id)
            fits = data and (data.startswith(required) or required.startswith(data))
            if required and not fits:
                logits[token_id] = -torch.inf
        token_id = int(logits.argmax())
        if not required and (len(chosen) == num_tokens or token_id in TOKENIZER.stop_ids):
            break
        required = required[len(TOKENIZER.token_bytes(token_id)) :]
        ids = [*ids, token_id]
        chosen.append(token_id)
    return ids


@settings(max_examples=150, deadline=None)
@given(PROMPT.filter(lambda prompt: len(prompt) > 1), st.integers(0, 5))
def test_healing_equals_choosing_under_the_required_text(prompt: list[int], healing: int) -> None:
    healing = min(healing, len(prompt) - 1)
    record = run(Toy(), prompt, 30, healing=healing)
    text = TOKENIZER.decode_bytes(prompt) + record.data()
    slow = TOKENIZER.decode_bytes(brute_force(prompt, healing, 60))
    shorter, longer = sorted((text, slow), key=len)
    assert longer.startswith(shorter)
    assert len(text) >= len(TOKENIZER.decode_bytes(prompt))


@pytest.mark.parametrize("first", [97, 98, 99])
def test_healing_may_choose_one_token_for_two_typed_apart(first: int) -> None:
    toy = Toy()
    logits = toy_logits([first])
    best = max(VOCABULARY.allowed(b"ab").tolist(), key=lambda token_id: float(logits[token_id]))
    token = run(toy, [first, 97, 98], 3, healing=2).events[0]
    assert isinstance(token, Token)
    # 97 is "a", as typed: then the choice is made again at "b".
    assert best == 97 or token.choice.token_id == best


def test_healing_never_chooses_a_special_token_again() -> None:
    prompt = [97, 98, TOKENIZER.special["<|message|>"], 97]
    reaching = run(Toy(), prompt, 6, healing=3)
    short = run(Toy(), prompt, 6, healing=1)
    assert reaching.tokens() == short.tokens()
    assert reaching.data() == short.data()


def test_it_ends_at_the_token_limit_at_the_context_and_at_a_stop() -> None:
    assert run(Toy(), [97, 98], 4).reasons() in (["length"], ["stop"])
    record = run(Toy(context_len=12), [97] * 10, 50)
    assert len(record.tokens()) <= 2
    assert record.reasons() in (["length"], ["stop"])


def test_a_seed_is_reproducible_and_the_n_completions_differ() -> None:
    sampled = Sampling(temperature=1.5, seed=11)
    first = run(Toy(), [97, 98, 99], 12, sampling=sampled, n=4)
    again = run(Toy(), [97, 98, 99], 12, sampling=sampled, n=4)
    assert [first.tokens(i) for i in range(4)] == [again.tokens(i) for i in range(4)]
    assert len({tuple(first.tokens(i)) for i in range(4)}) > 1


def test_logprobs_are_the_models_own() -> None:
    record = run(Toy(), [97, 98], 3, sampling=Sampling(logprobs=5))
    event = record.events[0]
    assert isinstance(event, Token)
    expected = toy_logits([97, 98]).log_softmax(-1)
    assert event.choice.logprob == pytest.approx(float(expected.max()))
    assert len(event.choice.top) == 5
    assert event.choice.top[0][0] == event.choice.token_id


def test_top_p_leaves_only_the_likeliest() -> None:
    best = int(toy_logits([97]).argmax())
    for seed in range(20):
        sampling = Sampling(temperature=1.0, top_p=1e-6, seed=seed)
        record = run(Toy(), [97], 1, sampling=sampling)
        assert record.tokens() == ([] if best in TOKENIZER.stop_ids else [best])


def test_a_thousand_dropped_requests_leak_no_page() -> None:
    toy = Toy(num_pages=40)
    for number in range(1000):
        prompt = [97 + number % 3, *[98] * (number % 17), 99]
        work = toy.generator.run(
            make_job(prompt, Record(), 9, healing=number % 3, n=1 + number % 2)
        )
        for _ in range(number % 6):
            next(work, None)
        work.close()
    toy.cache.check_integrity()
    assert run(toy, [97] * 100, 4).reasons()
