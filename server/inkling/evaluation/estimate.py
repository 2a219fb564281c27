"""A mean over holes and how sure it is. Holes of one file resemble each other: files are drawn, not holes."""

import random
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

RESAMPLES = 1000


@dataclass(frozen=True)
class Estimate:
    """`mean` over `count` values, with a 95 % interval: None where all values are of one file."""

    mean: float
    low: float | None
    high: float | None
    count: int


def estimate(values: Iterable[tuple[str, float]], seed: int) -> Estimate | None:
    """The mean of (file, value) pairs, None of none."""
    return estimate_share(((file, value, 1.0) for file, value in values), seed)


def estimate_share(parts: Iterable[tuple[str, float, float]], seed: int) -> Estimate | None:
    """Sum of parts over sum of wholes, of (file, part, whole) triples; None without a whole.

    The interval is the percentile bootstrap's, over files. The same seed gives the same interval.
    """
    sums: dict[str, tuple[float, float]] = defaultdict(lambda: (0.0, 0.0))
    count = 0
    for file, part, whole in parts:
        sums[file] = sums[file][0] + part, sums[file][1] + whole
        count += 1
    files = [pair for pair in sums.values() if pair[1]]
    if not files:
        return None
    mean = _share(files)
    if len(files) < 2:
        return Estimate(mean, None, None, count)
    rng = random.Random(seed)
    drawn = sorted(_share(rng.choices(files, k=len(files))) for _ in range(RESAMPLES))
    low, high = drawn[round(0.025 * (RESAMPLES - 1))], drawn[round(0.975 * (RESAMPLES - 1))]
    return Estimate(mean, low, high, count)


def _share(files: list[tuple[float, float]]) -> float:
    return sum(part for part, _ in files) / sum(whole for _, whole in files)
