"""What is known of the ends of the last prompts."""

import torch

from inkling.engine.recent_logits import MAX_ROWS, RecentLogits


def rows_of(*numbers: float) -> torch.Tensor:
    return torch.tensor(numbers).unsqueeze(1)


def test_logits_are_found_by_what_stands_before() -> None:
    recent = RecentLogits()
    recent.add([1, 2, 3, 4], rows_of(0.2, 0.3, 0.4))
    assert recent.after([1, 2, 3, 9], 3) == 0.3
    assert recent.after([1, 2, 8, 9], 2) == 0.2
    assert recent.after([1, 2, 3, 4], 4) == 0.4
    assert recent.after([1, 2, 8, 9], 3) is None
    assert recent.after([1, 2, 3, 4], 1) is None
    assert recent.after([1, 2, 3, 4, 5], 5) is None


def test_the_least_recently_used_is_forgotten() -> None:
    recent = RecentLogits()
    for number in range(MAX_ROWS):
        recent.add([number], rows_of(number))
    assert recent.after([0], 1) == 0
    recent.add([99], rows_of(99))
    assert recent.after([1], 1) is None
    assert recent.after([0], 1) == 0


def test_a_pass_of_more_rows_than_are_kept_is_not_kept() -> None:
    recent = RecentLogits()
    recent.add(list(range(99)), torch.zeros(MAX_ROWS + 1, 1))
    assert recent.after(list(range(99)), 99) is None
