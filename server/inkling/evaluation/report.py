"""The results as a page of plain text."""

from collections import Counter
from typing import Any

from inkling.evaluation.estimate import Estimate
from inkling.evaluation.replay import PACES
from inkling.evaluation.results import Results, groups

# What the tables call each of `MEASURES`; those that are no shares are in characters.
_LABELS = {
    "exact": "exact",
    "first_line": "first line",
    "edit_similarity": "similarity",
    "name_f1": "names F1",
    "prefix_chars": "right chars",
    "empty": "empty",
    "with_more_errors": "breaks syntax",
    "suffix_twice": "suffix twice",
    "over_chars": "over chars",
}
_CHARS = frozenset({"prefix_chars", "over_chars"})


def as_text(results: Results) -> str:
    """All figures, in tables a terminal shows."""
    parts = [_about(results), _recall(results)]
    parts += [_completions(results), _groups(results), _typing(results)]
    return "\n\n".join(filter(None, parts)) + "\n"


def _about(results: Results) -> str:
    about = results.about
    stopped = "" if about["is_whole"] else ", interrupted"
    return (
        f"{about['holes_made']} holes in {about['files_with_holes']} of {about['files']} files of "
        f"{about['repository']}, seed {about['seed']}{stopped}\n"
        f"{about['model'] or 'no model'}, inkling {about['inkling']}"
    )


def _recall(results: Results) -> str:
    if not results.recalls:
        return ""
    rows = [["names of the true text in the prompt", "all", "in other files only"]]
    for variant in results.recalls:
        found = results.recall(variant)
        rows.append([variant, _mean("", found["all"]), _mean("", found["other_files_only"])])
    budget = results.about["settings"]["prompt_tokens"]
    return f"Context recall, {budget} tokens of prompt, no model\n{_table(rows)}"


def _completions(results: Results) -> str:
    """Each measure over all holes, for each variant, and what related code changes."""
    variants = results.answers
    if not any(variants.values()):
        return ""
    measured = {variant: results.measures(answers) for variant, answers in variants.items()}
    difference = results.difference()
    rows = [["Completions", *variants, *(["difference"] if difference else [])]]
    gap = [""] if difference else []
    rows.append(["holes", *(str(it["holes"]) for it in measured.values()), *gap])
    for name, label in _LABELS.items():
        cells = [_mean(name, _estimate(it[name])) for it in measured.values()]
        if difference:
            cells.append(_signed(name, difference[name]))
        rows.append([label, *cells])
    for name, label in (("first_text_ms", "first text, ms"), ("whole_ms", "whole, ms")):
        rows.append([label, *(_times(it[name]) for it in measured.values()), *gap])
    return _table(rows)


def _groups(results: Results) -> str:
    """The means again, by kind of hole and by what stands right of it."""
    answers = next(iter(results.answers.values()), [])
    if not answers:
        return ""
    rows = [["of them", "holes", *_LABELS.values()]]
    for group, members in groups(answers)[1:]:
        found = results.measures(members)
        cells = [_mean(name, _estimate(found[name]), with_interval=False) for name in _LABELS]
        rows.append([group, str(len(members)), *cells])
    silences = Counter(answer.silence for answer in answers if answer.silence)
    reasons = ", ".join(f"{reason} ({count})" for reason, count in silences.most_common())
    return _table(rows) + (f"\nNothing shown: {reasons}" if reasons else "")


def _typing(results: Results) -> str:
    rows: list[list[str]] = [
        ["Typed key by key"],
        ["keys"],
        ["model calls"],
        ["… of them that told no usage"],
        ["keys that were shown text"],
        ["correct text typed without a call"],
        ["flicker"],
        ["tokens decoded"],
        ["… of them never typed"],
        ["prompt reused, mean / 5th percentile"],
        ["first text ms, with a call"],
        ["first text ms, without"],
    ]
    for pace in PACES:
        if not results.of_pace(pace):
            continue
        it = results.typing(pace)
        columns = [
            pace,
            str(it["keys"]),
            str(it["calls"]),
            str(it["calls_without_usage"]),
            str(it["typed_along"]),
            f"{_part(it['correct_chars_free'], it['correct_chars'])} of {it['correct_chars']} chars",
            str(it["flicker"]),
            str(it["decoded_tokens"]),
            _part(it["wasted_tokens"], it["decoded_tokens"]),
            f"{_part(it['reuse_mean'], 1)} / {_part(it['reuse_p05'], 1)}",
            _times(it["call_ms"]),
            _times(it["free_ms"]),
        ]
        for row, cell in zip(rows, columns, strict=True):
            row.append(cell)
    return _table(rows) if len(rows[0]) > 1 else ""


def _estimate(found: dict[str, Any] | None) -> Estimate | None:
    return Estimate(**found) if found is not None else None


def _mean(name: str, it: Estimate | None, *, with_interval: bool = True) -> str:
    """A share in per cent, or characters."""
    if it is None:
        return "-"
    scale, digits, unit = (
        (1, 1, "") if name in _CHARS else (100, 0 if not with_interval else 1, " %")
    )
    mean = f"{scale * it.mean:.{digits}f}{unit}"
    if not with_interval or it.low is None or it.high is None:
        return mean
    return f"{mean} ({scale * it.low:.{digits}f} to {scale * it.high:.{digits}f})"


def _signed(name: str, it: Estimate | None) -> str:
    """A difference in points of per cent, or in characters."""
    if it is None:
        return "-"
    scale = 1 if name in _CHARS else 100
    mean = f"{scale * it.mean:+.1f}"
    if it.low is None or it.high is None:
        return mean
    return f"{mean} ({scale * it.low:+.1f} to {scale * it.high:+.1f})"


def _part(part: float | None, whole: float) -> str:
    return f"{100 * part / whole:.1f} %" if part is not None and whole else "-"


def _times(found: dict[str, float] | None) -> str:
    return f"{found['p50']:.0f} / {found['p95']:.0f}" if found else "-"


def _table(rows: list[list[str]]) -> str:
    """Columns as wide as need be, the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        cells = [f"{cell:>{width}}" for cell, width in zip(others, widths[1:], strict=True)]
        lines.append("  ".join([f"{first:<{widths[0]}}", *cells]).rstrip())
    return "\n".join(lines)
