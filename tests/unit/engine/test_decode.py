"""Decoding a step ahead and by drafts gives what one step after another gives, and leaves no trace."""

import threading
from collections.abc import Sequence as Tokens
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inkling.core import Priority
from inkling.engine.job import Begun, Event, Token
from inkling.engine.model.base import Decoder
from inkling.engine.sampling import Sampling
from inkling.engine.scheduler import Scheduler
from tests.unit.engine.toy import (
    TOKENIZER,
    Record,
    Toy,
    ToyDecoder,
    ToyModel,
    ToyStep,
    echoing_logits,
    make_job,
    run,
)

FREE = (1.0,) * 8  # a pass of eight tokens costs as much as a step: any match is worth a draft
LETTERS = st.sampled_from([97, 98, 99, 256, 257, 260])
# Text that says things twice.
PROMPT = st.builds(
    lambda parts, order: [token for at in order for token in parts[at % len(parts)]],
    st.lists(st.lists(LETTERS, min_size=1, max_size=7), min_size=1, max_size=3),
    st.lists(st.integers(0, 2), min_size=1, max_size=6),
)
REQUEST = st.fixed_dictionaries(
    {
        "prompt": PROMPT,
        "max_tokens": st.integers(0, 24),
        "healing": st.integers(0, 3),
        "n": st.integers(1, 2),
        "stop_ids": st.sets(st.one_of(LETTERS, st.sampled_from(sorted(TOKENIZER.stop_ids))))
        .map(frozenset)
        .filter(lambda ids: len(ids) < 4),
        "sampling": st.sampled_from([Sampling(), Sampling(), Sampling(logprobs=1)]),
    }
)


class Stopping(Record):
    """A client that has seen enough after so many tokens of a completion."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self._after = after

    def emit(self, event: Event) -> bool:
        super().emit(event)
        return isinstance(event, Token) and len(self.tokens(event.index)) == self._after


def echoing(costs: Tokens[float] = FREE, **changes: int | bool) -> Toy:
    """A toy that repeats itself; with no costs, one that only knows `forward`."""
    model = ToyDecoder(costs) if costs else ToyModel()
    model.logits_of = echoing_logits
    return replace(Toy(), model=model, **changes)  # type: ignore[arg-type]


def plain(request: dict[str, object], stop_after: int, context_len: int) -> Record:
    """One step after another, on a fresh engine."""
    toy = echoing((), num_pages=200, context_len=context_len)
    record = Stopping(stop_after)
    for _ in toy.generator.run(make_job(record=record, **request)):  # type: ignore[arg-type]
        pass
    assert toy.model.passes
    return record


def test_the_toys_are_what_they_say() -> None:
    assert isinstance(ToyDecoder(), Decoder)
    assert not isinstance(ToyModel(), Decoder)
    assert isinstance(echoing().model, ToyDecoder)


@settings(max_examples=250, deadline=None)
@given(
    st.lists(
        st.tuples(
            REQUEST,
            st.integers(1, 30),  # tokens the client wants; 25 and more: all
            st.integers(0, 40),  # steps before the client goes away; 30 and more: it stays
            st.booleans(),  # goes on from the last prompt and completion
        ),
        min_size=1,
        max_size=6,
    ),
    st.integers(1, 5),  # page_len
    st.integers(40, 60),  # context_len
    st.sampled_from([FREE, (1.0, 1.0), (1.0, 1.2, 1.5, 1.9), (1.0,)]),
)
def test_the_tokens_are_those_of_one_step_after_another(
    requests: list[tuple[dict[str, object], int, int, bool]],
    page_len: int,
    context_len: int,
    costs: tuple[float, ...],
) -> None:
    num_pages = 2 * context_len // page_len + 2
    warm = echoing(costs, page_len=page_len, num_pages=num_pages, context_len=context_len)
    last: list[int] = []
    for request, stop_after, steps, goes_on in requests:
        prompt = request["prompt"]
        assert isinstance(prompt, list)
        request["prompt"] = prompt = [*(last if goes_on else []), *prompt][: context_len - 1]
        record = Stopping(stop_after)
        work = warm.generator.run(make_job(record=record, **request))  # type: ignore[arg-type]
        warm.model.longest = 0
        is_whole = steps >= 30
        while is_whole or steps:
            steps -= 1
            if next(work, "over") == "over":
                is_whole = True
                break
            warm.cache.check_integrity()
        work.close()
        warm.cache.check_integrity()
        slow = plain(request, stop_after, context_len)
        max_tokens = request["max_tokens"]
        assert isinstance(max_tokens, int)
        # The last token needs no pass of its own.
        wanted = len(prompt) + max(0, max_tokens - 1)
        assert warm.model.longest <= min(wanted, context_len - 1)
        for index in range(2):
            expected = slow.tokens(index)
            chosen = record.tokens(index)
            assert chosen == (expected if is_whole else expected[: len(chosen)])
        assert not is_whole or record.reasons() == slow.reasons()
        last = [*prompt, *record.tokens()]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(REQUEST, min_size=2, max_size=4),
    st.lists(st.integers(0, 3), max_size=80),
    st.integers(1, 5),
)
def test_requests_taking_turns_do_not_see_each_others_steps(
    requests: list[dict[str, object]], turns: list[int], page_len: int
) -> None:
    warm = echoing(page_len=page_len, num_pages=400)
    records = [Record() for _ in requests]
    work = [
        warm.generator.run(make_job(record=record, **request))  # type: ignore[arg-type]
        for record, request in zip(records, requests, strict=True)
    ]
    for turn in turns:
        next(work[turn % len(work)], None)
        warm.cache.check_integrity()
    for rest in work:
        for _ in rest:
            pass
    warm.cache.check_integrity()
    for record, request in zip(records, requests, strict=True):
        slow = plain(request, 0, 4096)
        assert [record.tokens(i) for i in range(2)] == [slow.tokens(i) for i in range(2)]


def test_it_is_one_step_ahead_and_no_more() -> None:
    toy = echoing((1.0,))
    assert isinstance(toy.model, ToyDecoder)
    record = Record()
    work = toy.generator.run(make_job([97, 98, 97], record, 9, stop_ids=frozenset()))
    counts = []
    for _ in work:
        counts.append((len(record.tokens()), len(toy.model.steps)))
    # Whenever it pauses, the step for the next token is under way.
    assert counts == [(n, n) for n in range(9)]
    assert len(record.tokens()) == 9
    assert len(toy.model.steps) == 8, "no step is started that nobody could want"
    assert toy.model.most_unread == 2
    assert not toy.model.unread


def test_a_cancelled_job_wastes_the_step_under_way_and_no_other() -> None:
    toy = echoing((1.0,))
    assert isinstance(toy.model, ToyDecoder)
    events: list[Event] = []
    over = threading.Event()

    def cancel_at_the_fourth(event: Event) -> bool:
        events.append(event)
        if sum(isinstance(event, Token) for event in events) == 4:
            job.cancel()
        return False

    def end(event: Event) -> bool:
        over.set()
        return False

    job = make_job([97, 98, 97], Record(), 100, stop_ids=frozenset(), emit=cancel_at_the_fourth)
    scheduler = Scheduler(toy.generator.run)
    scheduler.submit(job)
    scheduler.submit(make_job([98], Record(), 0, priority=Priority.IDLE, emit=end))
    scheduler.start()
    assert over.wait(20)
    scheduler.stop()
    assert [type(event) for event in events] == [Token, Begun, Token, Token, Token]
    assert len(toy.model.steps) == 4
    toy.cache.check_integrity()


def test_an_unwanted_step_is_not_claimed() -> None:
    toy = echoing((1.0,), page_len=16)
    work = toy.generator.run(make_job([97, 98, 97], Record(), 100, stop_ids=frozenset()))
    for _ in range(4):
        next(work)
    work.close()
    first = run(echoing((1.0,)), [97, 98, 97], 9, stop_ids=frozenset()).tokens()
    # Three tokens were emitted; the KV of the third is only in the step that was dropped.
    usage = run(toy, [97, 98, 97, *first[:6]], 1).done.usage
    assert usage.reused == 3 + 2


def test_drafts_save_passes_and_are_counted() -> None:
    prompt = [97, 98, 99, 256, 257, 260] * 4
    drafting, stepping = echoing(), echoing(lookup=False)
    fast = run(drafting, prompt, 40, stop_ids=frozenset())
    slow = run(stepping, prompt, 40, stop_ids=frozenset())
    assert fast.tokens() == slow.tokens()
    assert len(drafting.model.passes) < len(stepping.model.passes)
    usage = fast.done.usage
    assert 0 < usage.accepted <= usage.drafted
    assert usage.completion_tokens == 40
    assert (slow.done.usage.drafted, slow.done.usage.accepted) == (0, 0)


@pytest.mark.parametrize("costs", [(1.0,), (1.0, 9.0, 9.0, 9.0)])
def test_no_draft_where_passes_are_dear(costs: tuple[float, ...]) -> None:
    record = run(echoing(costs), [97, 98, 99, 256] * 6, 40, stop_ids=frozenset())
    assert record.done.usage.drafted == 0


def test_what_is_accepted_is_resident() -> None:
    prompt = [97, 98, 99, 256, 257, 260] * 4
    toy = echoing()
    chosen = run(toy, prompt, 40, stop_ids=frozenset()).tokens()
    usage = run(toy, [*prompt, *chosen, 97], 1).done.usage
    # All but the last token, of which no pass was made.
    assert usage.reused >= len(prompt) + 39


@pytest.mark.parametrize(
    "changes",
    [
        {"sampling": Sampling(temperature=0.5, seed=1)},
        {"sampling": Sampling(logprobs=2)},
    ],
)
def test_what_needs_logits_takes_no_steps(changes: dict[str, object]) -> None:
    toy = echoing()
    assert isinstance(toy.model, ToyDecoder)
    assert run(toy, [97, 98] * 5, 12, stop_ids=frozenset(), **changes).tokens()
    assert not toy.model.steps


def test_a_failed_step_ends_its_job_and_claims_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    toy = echoing((1.0,))
    work = toy.generator.run(make_job([97, 98, 97], Record(), 100, stop_ids=frozenset()))
    for _ in range(3):
        next(work)

    def fail(step: ToyStep) -> int:
        raise RuntimeError("the device broke")

    with monkeypatch.context() as patched:
        patched.setattr(ToyStep, "token_id", fail)
        with pytest.raises(RuntimeError, match="the device broke"):
            next(work)
    toy.cache.check_integrity()
    fresh = run(echoing((1.0,)), [97, 98, 97], 20)
    assert run(toy, [97, 98, 97], 20).tokens() == fresh.tokens()
