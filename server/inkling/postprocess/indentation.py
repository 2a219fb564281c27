from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise

from inkling.context.marks import scan
from inkling.core import Extent
from inkling.postprocess.draft import Draft
from inkling.postprocess.place import Place

# How much of the document (characters, on each side) tells its style.
REACH = 8_000
WIDTHS = (2, 3, 4, 8)
_OPENERS = (":", "{")


def use_file_indentation(draft: Draft) -> Draft:
    """Indent as the file does: with its tabs or spaces, by its width.

    From the first line on that shows another way than the file's, below a `:` or `{` or by tabs
    for spaces; the rest of an odd run (an alignment) stays. So does the inside of a string.
    """
    if draft.extent is Extent.LINE or "\n" not in draft.text:
        return draft
    place, lines = draft.place, draft.text.split("\n")
    if not (draft.is_whole or draft.is_done or lines[-1].strip()):
        lines[-1] = ""  # its run is not whole yet
    file_unit, unit = _unit_of_file(place), ""
    base = _run(place.line_before if place.line_before.strip() else place.line_before + lines[0])
    above, inside = place.line_before + lines[0], place.inside
    converted = [lines[0]]
    for previous, line in pairwise(lines):
        if place.marks is not None:
            inside = scan(previous + "\n", place.marks, inside).inside
        is_code = inside in ("", "*/")
        if line.strip() and is_code:
            unit = unit or _unit_shown(above, line, file_unit)
            above = line
        is_other = is_code and unit and unit != file_unit
        converted.append(_convert(line, len(base), unit, file_unit) if is_other else line)
    return replace(draft, text="\n".join(converted))


def _unit_shown(above: str, line: str, file_unit: str) -> str:
    """What the model indents one level by, as far as this line and the one above it tell."""
    run, is_deeper = _run(line), above.rstrip().endswith(_OPENERS)
    if not file_unit or not run:
        return ""
    if "\t" in run:
        return "\t"
    if file_unit == "\t":
        level = _run(above).count("\t") + is_deeper
        width = len(run) // level if level and len(run) % level == 0 else len(run)
    else:
        width = len(run) - len(_run(above)) if is_deeper else 0
    return " " * width if width in WIDTHS else ""


def _convert(line: str, base: int, unit: str, file_unit: str) -> str:
    run = _run(line)
    if unit == "\t":
        return run.replace("\t", file_unit) + line[len(run) :]
    if "\t" in run:
        return line
    start = 0 if file_unit == "\t" else min(base, len(run))
    levels, rest = divmod(len(run) - start, len(unit))
    return " " * start + file_unit * levels + " " * rest + line[len(run) :]


def _run(line: str) -> str:
    return line[: len(line) - len(line.lstrip(" \t"))]


@lru_cache(maxsize=4)
def _unit_of_file(place: Place) -> str:
    """A tab, or the spaces of one level; "" where the document does not say."""
    lines = [
        line
        for side in (place.before[-REACH:], place.suffix[:REACH])
        for line in side.split("\n")[1:]
        if line.strip()
    ]
    num_tabbed = sum(line.startswith("\t") for line in lines)
    num_spaced = sum(line.startswith("  ") for line in lines)
    if num_tabbed > 4 * num_spaced:
        return "\t"
    widths = Counter(_steps(lines))
    if num_spaced <= 4 * num_tabbed or not widths:
        return ""
    width, count = widths.most_common(1)[0]
    return " " * width if 2 * count > widths.total() else ""


def _steps(lines: list[str]) -> Iterator[int]:
    """How much deeper each line below an opener is than the opener."""
    for above, line in pairwise(lines):
        step = len(_run(line)) - len(_run(above))
        if above.rstrip().endswith(_OPENERS) and step in WIDTHS:
            yield step
