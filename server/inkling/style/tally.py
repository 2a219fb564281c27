"""Counting evidence: a rule is learnt only where it is clear."""

from collections import Counter

from inkling.style.rules import Kind, Rank, Rule

MIN_SHARE = 0.8
MIN_COUNT = 20


def evidence(count: int, total: int, things: str, num_files: int) -> str:
    """The source of a learnt rule, in words."""
    files = "1 file" if num_files == 1 else f"{num_files:,} files"
    return f"learnt from {count:,} of {total:,} {things} in {files}"


class Tally:
    """How often each value of one kind was seen, and in which files."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._paths: set[str] = set()

    def add(self, value: str, path: str, times: int = 1) -> None:
        if times:
            self.counts[value] += times
            self._paths.add(path)

    @property
    def total(self) -> int:
        return self.counts.total()

    def rule(self, kind: Kind, family: str, things: str, min_count: int = MIN_COUNT) -> Rule | None:
        """The rule that at least MIN_SHARE of at least `min_count` things follow, else None."""
        if self.total < min_count:
            return None
        value, count = max(self.counts.items(), key=lambda item: (item[1], item[0]))
        if count < MIN_SHARE * self.total:
            return None
        source = evidence(count, self.total, things, len(self._paths))
        return Rule(kind, value, family, source, Rank.LEARNT)
