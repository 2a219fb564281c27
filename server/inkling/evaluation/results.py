"""What an evaluation found: gathered while it runs, and whole as JSON."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from inkling.evaluation import KINDS
from inkling.evaluation.estimate import Estimate, estimate, estimate_share
from inkling.evaluation.holes import Hole
from inkling.evaluation.recall import Recall
from inkling.evaluation.replay import PACES, Pace, Replay
from inkling.evaluation.scores import Scores
from inkling.tokenizer import Tokenizer

WITH, WITHOUT = "with related code", "without"


@dataclass(frozen=True)
class Answer:
    """What was shown for a hole, and when: milliseconds to the first text (to the empty answer, where
    there was none) and to the whole. `silence` says why nothing was shown."""

    hole: Hole
    text: str
    silence: str
    first_ms: float
    whole_ms: float
    scores: Scores


# What the table and the JSON tell of a group of answers: from one answer to a number, None for none.
MEASURES: dict[str, Callable[[Answer], float | None]] = {
    "exact": lambda answer: answer.scores.exact,
    "first_line": lambda answer: answer.scores.first_line,
    "edit_similarity": lambda answer: answer.scores.edit_similarity,
    "name_f1": lambda answer: answer.scores.name_f1,
    "prefix_chars": lambda answer: answer.scores.prefix_chars,
    "with_more_errors": lambda answer: answer.scores.more_errors > 0,
    "over_chars": lambda answer: answer.scores.over_chars,
    "suffix_twice": lambda answer: answer.scores.is_suffix_twice,
    "empty": lambda answer: answer.scores.is_empty,
}


@dataclass
class Results:
    """All that was measured so far. `about` says of what, with what. `answers` and `recalls` are by
    variant: `WITH` or `WITHOUT` code of other files."""

    about: dict[str, Any]
    seed: int
    recalls: dict[str, list[Recall]] = field(default_factory=dict)
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    replays: list[Replay] = field(default_factory=list)
    tokenizer: Tokenizer | None = None  # the answering model's

    def as_json(self) -> dict[str, Any]:
        """Every figure, and every hole with what was shown for it."""
        return {
            **self.about,
            "recall": {name: _as_dict(self.recall(name)) for name in self.recalls},
            "completions": {
                variant: {group: self.measures(answers) for group, answers in groups(all_)}
                for variant, all_ in self.answers.items()
            },
            "difference": _as_dict(self.difference()),
            "silences": {
                variant: Counter(answer.silence for answer in answers if answer.silence)
                for variant, answers in self.answers.items()
            },
            "replay": {pace: self.typing(pace) for pace in PACES if self.of_pace(pace)},
            "holes": {
                variant: [_answer_as_dict(answer) for answer in answers]
                for variant, answers in self.answers.items()
            },
            "replays": [_replay_as_dict(it) for it in self.replays],
        }

    def recall(self, variant: str) -> dict[str, Estimate | None]:
        """Shares of names in the prompt: of all that occur elsewhere, and of those in other files only."""
        recalls = self.recalls[variant]
        return {
            "all": estimate_share([(it.file, it.found, it.names) for it in recalls], self.seed),
            "other_files_only": estimate_share(
                [(it.file, it.found_elsewhere, it.names_elsewhere) for it in recalls], self.seed
            ),
        }

    def measures(self, answers: Sequence[Answer]) -> dict[str, Any]:
        """Means with intervals, and latency percentiles (ms)."""
        shown = [answer.first_ms for answer in answers if answer.text]
        return {
            "holes": len(answers),
            **_as_dict({name: self._mean(answers, of) for name, of in MEASURES.items()}),
            "first_text_ms": percentiles(shown),
            "whole_ms": percentiles([answer.whole_ms for answer in answers]),
        }

    def difference(self) -> dict[str, Estimate | None]:
        """With code of other files less without, hole by hole."""
        pairs = list(zip(self.answers.get(WITH, ()), self.answers.get(WITHOUT, ()), strict=False))
        found: dict[str, Estimate | None] = {}
        for name, of in MEASURES.items() if pairs else ():
            values = [(a.hole.source.path, of(a), of(b)) for a, b in pairs]
            differences = [
                (file, float(x) - float(y))
                for file, x, y in values
                if x is not None and y is not None
            ]
            found[name] = estimate(differences, self.seed)
        return found

    def of_pace(self, pace: Pace) -> list[Replay]:
        return [it for it in self.replays if it.pace == pace]

    def typing(self, pace: Pace) -> dict[str, Any]:
        """What typing cost at one pace, over all replays. Tokens are of calls that told them."""
        replays = self.of_pace(pace)
        keys = [key for it in replays for key in it.keys]
        correct = sum(it.correct_chars for it in replays)
        reuses = sorted(reuse for it in replays for reuse in it.reuses)
        decoded = sum(it.num_decoded() for it in replays)
        tokenizer = self.tokenizer
        used = sum(it.num_used(tokenizer) for it in replays) if tokenizer else None
        calls = sum(len(it.calls) for it in replays)
        return {
            "replays": len(replays),
            "keys": len(keys),
            "calls": calls,
            "calls_without_usage": sum(c not in it.usages for it in replays for c in it.calls),
            "typed_along": sum(key.is_typed_along for key in keys),
            "correct_chars": correct,
            "correct_chars_free": sum(it.free_chars for it in replays),
            "flicker": sum(it.num_flickers for it in replays),
            "decoded_tokens": decoded,
            "wasted_tokens": max(0, decoded - used) if used is not None else None,
            "reuse_mean": sum(reuses) / len(reuses) if reuses else None,
            "reuse_median": reuses[len(reuses) // 2] if reuses else None,
            "reuse_p05": reuses[len(reuses) // 20] if reuses else None,
            "call_ms": percentiles([key.latency_ms for key in keys if key.is_call]),
            "free_ms": percentiles([key.latency_ms for key in keys if not key.is_call]),
        }

    def _mean(
        self, answers: Iterable[Answer], of: Callable[[Answer], float | None]
    ) -> Estimate | None:
        values = [(answer.hole.source.path, of(answer)) for answer in answers]
        return estimate([(file, float(it)) for file, it in values if it is not None], self.seed)


def groups(answers: Sequence[Answer]) -> list[tuple[str, list[Answer]]]:
    """All answers, then those by kind of hole, then those with and without text to the right."""
    kinds = {kind: [it for it in answers if it.hole.kind == kind] for kind in KINDS}
    sides = {
        "text to the right": [it for it in answers if it.hole.has_suffix],
        "nothing to the right": [it for it in answers if not it.hole.has_suffix],
    }
    found = {"all": list(answers), **kinds, **sides}
    return [(name, group) for name, group in found.items() if group]


def percentiles(values: Iterable[float]) -> dict[str, float] | None:
    """Median and 95th percentile (nearest rank), None of nothing."""
    ordered = sorted(values)
    if not ordered:
        return None
    last = len(ordered) - 1
    return {"p50": ordered[round(0.5 * last)], "p95": ordered[round(0.95 * last)]}


def _as_dict(estimates: dict[str, Estimate | None]) -> dict[str, Any]:
    return {name: asdict(it) if it is not None else None for name, it in estimates.items()}


def _place(hole: Hole) -> dict[str, Any]:
    return {
        "path": hole.source.path,
        "line": hole.line,
        "kind": hole.kind,
        "has_suffix": hole.has_suffix,
        "truth": hole.truth,
    }


def _answer_as_dict(answer: Answer) -> dict[str, Any]:
    return {
        **_place(answer.hole),
        "shown": answer.text,
        "silence": answer.silence,
        "first_ms": round(answer.first_ms, 1),
        "whole_ms": round(answer.whole_ms, 1),
        **asdict(answer.scores),
    }


def _replay_as_dict(it: Replay) -> dict[str, Any]:
    keys = [asdict(key) for key in it.keys]
    usages = {call: asdict(usage) for call, usage in it.usages.items()}
    return {**_place(it.hole), "pace": it.pace, "keys": keys, "usages": usages}
