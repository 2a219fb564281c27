import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkling.evaluation.estimate import estimate, estimate_share

VALUES = st.lists(
    st.tuples(st.sampled_from("abcde"), st.floats(0, 1, allow_nan=False)), min_size=1, max_size=30
)


@given(VALUES)
def test_the_interval_holds_the_extremes_and_repeats(values: list[tuple[str, float]]) -> None:
    found = estimate(values, 7)
    assert found is not None
    assert found == estimate(values, 7)
    assert found.count == len(values)
    numbers = [value for _, value in values]
    assert found.mean == pytest.approx(sum(numbers) / len(numbers))
    if found.low is not None and found.high is not None:
        assert min(numbers) - 1e-9 <= found.low <= found.high <= max(numbers) + 1e-9


def test_nothing_has_no_mean_and_one_file_no_interval() -> None:
    assert estimate([], 0) is None
    assert estimate_share([("a", 0, 0)], 0) is None
    found = estimate([("a", 0), ("a", 1)], 0)
    assert found is not None
    assert (found.mean, found.low, found.high) == (0.5, None, None)


def test_holes_of_one_file_count_as_one_draw() -> None:
    spread = estimate([(str(n), float(n % 2)) for n in range(100)], 0)
    clustered = estimate([(str(n // 25), float(n // 25 % 2)) for n in range(100)], 0)
    assert spread is not None
    assert clustered is not None
    assert spread.mean == clustered.mean == 0.5
    assert spread.low is not None and clustered.low is not None
    assert clustered.low < spread.low - 0.2


def test_a_share_weighs_each_part_by_its_whole() -> None:
    found = estimate_share([("a", 1, 1), ("b", 0, 9)], 0)
    assert found is not None
    assert found.mean == 0.1
