"""Drafts: the latest of the longest matches, and only where they pay."""

from hypothesis import given
from hypothesis import strategies as st

from inkling.engine.lookup import Lookup, Odds

FREE = (1.0,) * 8
# Ids whose bytes, run together, contain each other's.
TOKENS = st.sampled_from([0, 1, 256, 257, 65536, 65537])


def lookup(token_ids: list[int], costs: tuple[float, ...] = FREE) -> Lookup:
    return Lookup(token_ids, Odds(costs))


def first_match(ids: list[int]) -> int | None:
    """Where the token is that followed the last four, three or two tokens before, the slow way."""
    for length in (4, 3, 2):
        for at in range(len(ids) - 1, length - 1, -1):
            if ids[at - length : at] == ids[-length:]:
                return at
    return None


@given(st.lists(TOKENS, min_size=1, max_size=40), st.integers(1, 7))
def test_a_draft_is_what_followed_the_latest_longest_match(ids: list[int], limit: int) -> None:
    at = first_match(ids)
    expected = [] if at is None else ids[at : at + limit]
    assert lookup(ids).draft(limit) == expected


@given(st.lists(TOKENS, min_size=1, max_size=12), st.lists(TOKENS, max_size=30))
def test_a_match_goes_on_while_the_text_follows_it(ids: list[int], more: list[int]) -> None:
    found = lookup(ids)
    for token_id in more:
        match = found.draft(1)
        at = first_match(ids) if not match else None
        assert at is None, "there is a match, and it was missed"
        found.add(token_id)
        ids = [*ids, token_id]
        if match == [token_id]:
            # It goes on where it was, so the pair of tokens at its end stands elsewhere.
            assert found.draft(1)
        else:
            at = first_match(ids)
            assert found.draft(1) == ([] if at is None else [ids[at]])


def test_a_match_of_four_is_preferred_to_a_later_one_of_two() -> None:
    assert lookup([1, 2, 3, 4, 50, 3, 4, 60, 1, 2, 3, 4]).draft(1) == [50]


def test_the_window_bounds_how_far_back_is_looked() -> None:
    assert lookup([7, 8, 9, *range(100, 15_000), 7, 8]).draft(1) == [9]
    assert lookup([7, 8, 9, *range(100, 20_000), 7, 8]).draft(1) == []


def test_a_draft_is_as_long_as_it_pays() -> None:
    odds = Odds((1.0, 1.1, 1.9, 2.8))
    for length in range(2, 17):
        for _ in range(100):
            odds.observe(length, True)
    assert odds.draft_len(4, 8) == 1  # two tokens in 1.1; three in 1.9 and four in 2.8 are slower
    assert odds.draft_len(4, 0) == 0
    assert Odds((1.0,)).draft_len(4, 8) == 0


def test_misses_end_drafting_and_what_would_have_been_right_starts_it_again() -> None:
    odds = Odds((1.0, 1.2, 1.4, 1.7))
    assert odds.draft_len(2, 3)
    for _ in range(40):
        odds.observe(2, False)
    assert not odds.draft_len(2, 3)
    assert odds.draft_len(4, 3), "longer matches were not the ones that missed"
    for _ in range(40):
        odds.observe(2, True)
    assert odds.draft_len(2, 3)


def test_the_odds_are_learnt_without_a_draft() -> None:
    odds = Odds((1.0, 1.45))
    assert lookup([1, 2, 3, 1, 2], (1.0, 1.45)).draft(1) == []
    for _ in range(10):
        text = Lookup([1, 2, 3, 1, 2], odds)
        text.add(3)
    assert Lookup([1, 2, 3, 1, 2], odds).draft(1) == [3]
    for _ in range(10):
        text = Lookup([1, 2, 3, 1, 2], odds)
        text.add(4)
    assert Lookup([1, 2, 3, 1, 2], odds).draft(1) == []
