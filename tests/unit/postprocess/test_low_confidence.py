"""Lines the model is not sure of."""

import math

import pytest

from inkling.core import Extent
from inkling.postprocess import Draft, Place
from inkling.postprocess.low_confidence import stop_at_low_confidence

SURE, UNSURE = math.log(0.9), math.log(0.1)
HALF = math.log(0.5)


def draft(text: str, *, is_whole: bool = True) -> Draft:
    return Draft(text, Place("def f():", "", Extent.BLOCK, "python"), is_whole)


def scores(*lines: tuple[str, list[float]]) -> list[tuple[int, float]]:
    """One token for each number, all at the beginning of the line; the lines' ends are not scored."""
    found, start = [], 0
    for line, logprobs in lines:
        found += [(start, logprob) for logprob in logprobs]
        start += len(line) + 1
    return found


@pytest.mark.parametrize(
    ("lines", "kept"),
    [
        ([("a", [SURE]), ("b", [SURE])], "a\nb"),
        ([("a", [SURE]), ("b", [UNSURE]), ("c", [SURE])], "a"),
        ([("", []), ("a", [SURE, SURE, UNSURE])], ""),
        ([("a", [SURE, SURE, SURE, UNSURE])], "a"),
        ([("a", [UNSURE]), ("b", [SURE])], ""),
        ([("a", []), ("b", [SURE])], "a\nb"),
    ],
)
def test_a_text_ends_before_the_first_unsure_line(
    lines: list[tuple[str, list[float]]], kept: str
) -> None:
    text = "\n".join(line for line, _ in lines)
    result = stop_at_low_confidence(draft(text), scores(*lines), HALF)
    assert result.text == kept
    assert result.cut_by == ("" if kept.strip() else "low confidence")
    assert result.is_done == (kept != text)


def test_an_unfinished_line_is_not_judged() -> None:
    unsure = scores(("a", [UNSURE]))
    assert stop_at_low_confidence(draft("a", is_whole=False), unsure, HALF).text == "a"
    assert stop_at_low_confidence(draft("a\n", is_whole=False), unsure, HALF).text == ""
