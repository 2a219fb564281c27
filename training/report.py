"""Results of evaluate.py and baseline.py → the tables of docs/demo-model.md.

    python -m training.report DATA RESULTS.json [NAME=OTHER.json …]

Others are compared on the holes they share with RESULTS. DATA holds the corpus: how the model does
on lines that occur in no training file is told apart.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from inkling.evaluation.scores import edit_similarity
from training.documents import read_documents
from training.evaluate import Answer, interval, is_loop, load_held_out
from training.holes import Hole

GROUPS = {"python": "Python", "javascript": "JavaScript and TypeScript"}


def read_answers(file: Path) -> dict[Hole, Answer]:
    """The answers of a result file by their holes."""
    content = json.loads(file.read_text())
    answers = {}
    for fields in content["answers"]:
        hole = Hole(**fields["hole"])
        answers[hole] = Answer(hole, fields["text"], fields["raw"], fields["reason"])
    return answers


def trained_lines(folder: Path, wanted: set[str]) -> set[str]:
    """Those of the `wanted` lines that stand in a training file, indentation aside."""
    seen = set()
    for file in sorted(folder.glob("corpus-*.jsonl.xz")):
        for document in read_documents(file):
            seen |= {
                stripped
                for line in document.text.split("\n")
                if (stripped := line.strip()) in wanted
            }
    return seen


def line_of(hole: Hole, text: str) -> str:
    """The whole line a hole is in."""
    start = text.rfind("\n", 0, hole.cursor) + 1
    end = text.find("\n", hole.cursor)
    return text[start : end if end >= 0 else len(text)].strip()


def percent(values: Sequence[bool]) -> str:
    figure = interval([float(value) for value in values])
    return f"{figure['mean']:.1%} ({figure['low']:.1%} to {figure['high']:.1%})"


def similarity(answers: Sequence[Answer]) -> str:
    pairs = [edit_similarity(answer.text.rstrip(), answer.hole.target) for answer in answers]
    figure = interval(pairs)
    return f"{figure['mean']:.3f} ({figure['low']:.3f} to {figure['high']:.3f})"


def exact(answers: Sequence[Answer]) -> str:
    return percent([answer.is_exact for answer in answers])


def main() -> None:
    parser = argparse.ArgumentParser(description="Tables of the evaluation.")
    parser.add_argument("data", type=Path)
    parser.add_argument("results", type=Path)
    parser.add_argument("others", nargs="*", help="NAME=FILE")
    arguments = parser.parse_args()
    model = read_answers(arguments.results)
    columns = {"demo model": model}
    for other in arguments.others:
        name, _, file = other.partition("=")
        columns[name] = read_answers(Path(file))
    texts = {(d.package, d.path): d.text for d in load_held_out(arguments.data)}
    lines = {hole: line_of(hole, texts[hole.package, hole.path]) for hole in model}
    seen = trained_lines(arguments.data, set(lines.values()))
    parts: dict[str, Callable[[Hole], bool]] = {
        "rest of line": lambda hole: hole.kind == "line",
        "… code": lambda hole: hole.kind == "line" and hole.is_code,
        "… code, line in no training file": lambda hole: (
            hole.kind == "line" and hole.is_code and lines[hole] not in seen
        ),
        "… prose": lambda hole: hole.kind == "line" and not hole.is_code,
        "block": lambda hole: hole.kind == "block",
    }
    measures: dict[str, Callable[[Sequence[Answer]], str]] = {
        "Exact": exact,
        "Edit similarity": similarity,
    }
    for title, measure in measures.items():
        print_table(title, columns, parts, measure)
    blocks: dict[str, Callable[[Sequence[Answer]], str]] = {
        "Blocks that run in circles as decoded": lambda a: percent([is_loop(x.raw) for x in a]),
        "Blocks that run in circles as shown": lambda a: percent([is_loop(x.text) for x in a]),
        "Blocks that end by themselves": lambda a: percent([x.reason == "stop" for x in a]),
    }
    for title, measure in blocks.items():
        print_table(title, columns, {"block": parts["block"]}, measure)
    print_differences(columns)


def print_differences(columns: dict[str, dict[Hole, Answer]]) -> None:
    """How much more often the model is exact than each other, hole by hole."""
    model: dict[Hole, Answer] = next(iter(columns.values()))
    print("\n| Exact rest of line, difference to the demo model on the same holes | holes | |")
    print("|---|---|---|")
    for name, answers in list(columns.items())[1:]:
        for group, group_name in GROUPS.items():
            pairs = [
                float(model[hole].is_exact) - float(answer.is_exact)
                for hole, answer in answers.items()
                if hole in model and hole.group == group and hole.kind == "line"
            ]
            gain = interval(pairs)
            text = f"{gain['mean']:+.1%} ({gain['low']:+.1%} to {gain['high']:+.1%})"
            print(f"| {group_name}: demo model less {name} | {len(pairs)} | {text} |")


def print_table(
    title: str,
    columns: dict[str, dict[Hole, Answer]],
    parts: dict[str, Callable[[Hole], bool]],
    measure: Callable[[Sequence[Answer]], str],
) -> None:
    """One markdown table: a row per language group and part, a column per result file."""
    model: dict[Hole, Any] = next(iter(columns.values()))
    print(f"\n| {title} | holes | {' | '.join(columns)} |")
    print("|---|---|" + "---|" * len(columns))
    for group, name in GROUPS.items():
        for part, belongs in parts.items():
            cells, counts = [], []
            for answers in columns.values():
                shared = [
                    answer
                    for hole, answer in answers.items()
                    if hole in model and hole.group == group and belongs(hole)
                ]
                counts.append(len(shared))
                cells.append(measure(shared) if shared else "")
            print(f"| {name}, {part} | {counts[0]} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
