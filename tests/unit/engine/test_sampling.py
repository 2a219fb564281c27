"""Choosing tokens: the right distribution, reproducible, and nothing but one copy to the host."""

import math
from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from inkling.engine.sampling import Choice, Sampler, Sampling, _only_likeliest
from tests.unit.engine.toy import VOCABULARY

CPU = torch.device("cpu")
LOGITS = torch.tensor([1.0, 3.0, 2.0, -4.0, 2.5])


def shares(sampling: Sampling, allowed: Tensor | None = None, count: int = 4000) -> list[float]:
    sampler = Sampler(sampling, 0, CPU)
    chosen = Counter(sampler.choose(LOGITS, allowed).token_id for _ in range(count))
    return [chosen[token_id] / count for token_id in range(len(LOGITS))]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_tokens_come_as_often_as_they_are_likely(temperature: float) -> None:
    expected = (LOGITS / temperature).softmax(-1).tolist()
    assert shares(Sampling(temperature, seed=1)) == pytest.approx(expected, abs=0.03)


def test_among_the_allowed_they_come_by_their_own_shares() -> None:
    allowed = torch.tensor([4, 0])
    expected = [0.0] * 5
    expected[0], expected[4] = LOGITS[[0, 4]].softmax(-1).tolist()
    assert shares(Sampling(1.0, seed=2), allowed) == pytest.approx(expected, abs=0.03)


@given(
    st.lists(st.integers(-8, 8), min_size=1, max_size=12),
    st.floats(1e-9, 1, exclude_max=True),
)
def test_top_p_keeps_the_fewest_that_make_it_up(whole: list[int], top_p: float) -> None:
    scores = torch.tensor(whole, dtype=torch.float64)
    probabilities = scores.softmax(-1).tolist()
    order = sorted(range(len(whole)), key=lambda at: -probabilities[at])
    kept = {at for at, score in enumerate(_only_likeliest(scores, top_p)) if score > -math.inf}
    before = [sum(probabilities[at] for at in order[:rank]) for rank in range(len(order))]
    for rank, at in enumerate(order):
        if abs(before[rank] - top_p) > 1e-9:
            assert (at in kept) == (before[rank] < top_p)


def test_a_seed_gives_the_same_tokens_and_each_completion_its_own() -> None:
    def some(seed: int | None, index: int) -> list[int]:
        sampler = Sampler(Sampling(1.5, 0.95, seed=seed), index, CPU)
        return [sampler.choose(LOGITS).token_id for _ in range(30)]

    assert some(5, 0) == some(5, 0)
    assert len({tuple(some(5, index)) for index in range(4)}) == 4
    assert some(None, 0) != some(None, 0)


def test_many_rows_are_chosen_as_one_after_another() -> None:
    sampling = Sampling(0.8, 0.9, seed=4, logprobs=2)
    rows = [(LOGITS, None), (LOGITS.flip(0), torch.tensor([0, 3])), (LOGITS * 2, None)]
    one = Sampler(sampling, 0, CPU)
    assert Sampler(sampling, 0, CPU).choose_each(rows) == [one.choose(*row) for row in rows]


def test_greedy_under_a_constraint_reports_the_models_own_logprobs() -> None:
    choice = Sampler(Sampling(logprobs=2), 0, CPU).choose(LOGITS, torch.tensor([3, 0]))
    logprobs = LOGITS.log_softmax(-1).tolist()
    assert choice == Choice(0, logprobs[0], ((1, logprobs[1]), (4, logprobs[4])))


@pytest.mark.parametrize(
    "sampling",
    [Sampling(), Sampling(logprobs=3), Sampling(0.7, 0.9, seed=1), Sampling(0.7, logprobs=2)],
)
@pytest.mark.parametrize("is_healing", [True, False])
def test_nothing_is_read_before_the_one_copy(
    sampling: Sampling, is_healing: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a device without memory, where reading a value fails."""
    # The one call this device has not.
    monkeypatch.setattr(Tensor, "exponential_", lambda self, generator: self)
    allowed = torch.tensor([1, 2], device="meta") if is_healing else None
    chosen = Sampler(sampling, 0, CPU)._chosen(LOGITS.to("meta"), allowed)
    num_logprobs = sampling.logprobs
    assert chosen.shape == (1 if num_logprobs is None else 2 + 2 * num_logprobs,)
    with pytest.raises((RuntimeError, NotImplementedError)):
        chosen.tolist()


def test_allowed_tokens_are_copied_to_a_device_once() -> None:
    device = torch.device("meta")
    first = VOCABULARY.allowed(b"ab", device)
    assert first.device == device
    assert len(first) == len(VOCABULARY.allowed(b"ab"))
    b = VOCABULARY.allowed(b"b", device)
    assert b._base is not None
    assert b._base is VOCABULARY.allowed(b"c", device)._base
