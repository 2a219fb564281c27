"""What one completion is worth against the text that stood there. Pure functions."""

from collections import Counter
from dataclasses import dataclass

from tree_sitter import Node

from inkling.common_prefix import common_prefix_len
from inkling.context.syntax import SyntaxTree, parse
from inkling.evaluation.holes import Hole
from inkling.evaluation.names import names_between

_CLOSERS = ")]}>\"'`;:, \t\r"


@dataclass(frozen=True)
class Scores:
    """One completion. White space at the ends of completion and truth counts nowhere.

    `first_line`: the first line that is not blank is the true one. `name_f1` is None where neither
    text has a name. `prefix_chars`: how many characters are right before the first wrong one.
    `more_errors`: syntax errors of the document with the completion, less those with the true text.
    `over_chars`: characters behind the true text, where it begins with that. `is_suffix_twice`: its
    end stands right of the cursor already, and the true text's does not.
    """

    exact: bool
    first_line: bool
    edit_similarity: float
    name_f1: float | None
    prefix_chars: int
    more_errors: int
    over_chars: int
    is_suffix_twice: bool
    is_empty: bool


def score(hole: Hole, completion: str) -> Scores:
    """All scores of what was shown for a hole ("" for nothing)."""
    text, truth = completion.rstrip(), hole.truth.rstrip()
    got, wanted = _parsed_with(hole, completion), _parsed_with(hole, hole.truth)
    more_errors, name_f1 = 0, None
    if got is not None and wanted is not None:
        more_errors = num_errors(got) - num_errors(wanted)
        name_f1 = f1(_names(got, hole, completion), _names(wanted, hole, hole.truth))
    return Scores(
        exact=text == truth,
        first_line=_first_line(text) == _first_line(truth),
        edit_similarity=edit_similarity(text, truth),
        name_f1=name_f1,
        prefix_chars=common_prefix_len(text, truth),
        # A hole left open is no completion with an error.
        more_errors=more_errors if text else 0,
        over_chars=len(text) - len(truth) if text.startswith(truth) else 0,
        is_suffix_twice=repeats_suffix(text, hole.suffix)
        and not repeats_suffix(truth, hole.suffix),
        is_empty=not text,
    )


def edit_similarity(a: str, b: str) -> float:
    """1 - Levenshtein distance / the longer length, in 0…1."""
    longest = max(len(a), len(b))
    return 1 - levenshtein(a, b) / longest if longest else 1.0


def levenshtein(a: str, b: str) -> int:
    """How many characters must be put in, taken out or replaced to make `b` of `a`.

    Bit-parallel: a column of the table is two integers, the bits of which say where the distance
    rises and falls by one. Hyyrö, "A bit-vector algorithm for computing Levenshtein and Damerau edit
    distances" (2003), figure 7.
    """
    if not a:
        return len(b)
    places: dict[str, int] = {}
    for row, char in enumerate(a):
        places[char] = places.get(char, 0) | 1 << row
    mask, last = (1 << len(a)) - 1, 1 << (len(a) - 1)
    rises, falls, distance = mask, 0, len(a)
    for char in b:
        equal = places.get(char, 0)
        diagonal = ((((equal & rises) + rises) ^ rises) | equal | falls) & mask
        right_rises = falls | (~(diagonal | rises) & mask)
        right_falls = rises & diagonal
        distance += bool(right_rises & last) - bool(right_falls & last)
        right_rises = (right_rises << 1 | 1) & mask
        right_falls = right_falls << 1 & mask
        rises = right_falls | (~(diagonal | right_rises) & mask)
        falls = right_rises & diagonal
    return distance


def f1(got: Counter[str], wanted: Counter[str]) -> float | None:
    """Harmonic mean of precision and recall of two multisets, None if both are empty."""
    total = got.total() + wanted.total()
    return 2 * (got & wanted).total() / total if total else None


def num_errors(tree: SyntaxTree) -> int:
    """Nodes that the parser could not read, or had to make up."""
    count, nodes = 0, [tree.tree.root_node]
    while nodes:
        node: Node = nodes.pop()
        count += node.is_error or node.is_missing
        if node.has_error:
            nodes.extend(node.children)
    return count


def repeats_suffix(text: str, suffix: str) -> bool:
    """Whether a text ends with what follows it: the rest of its line, or the lines below.

    Only what says something counts: closing brackets may well stand twice.
    """
    rest, *below = suffix.split("\n")
    if _says_something(rest):
        return text.rstrip(_CLOSERS).endswith(rest.rstrip(_CLOSERS))
    lines = [line.rstrip() for line in text.split("\n")]
    following = [line.rstrip() for line in below if line.strip()]
    return any(
        lines[-length:] == following[:length] and any(map(_says_something, following[:length]))
        for length in range(1, min(len(lines), len(following)) + 1)
    )


def _says_something(line: str) -> bool:
    return any(char.isalnum() for char in line)


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.split("\n") if line.strip()), "")


def _parsed_with(hole: Hole, middle: str) -> SyntaxTree | None:
    return parse(hole.source.language, hole.prefix + middle + hole.suffix)


def _names(tree: SyntaxTree, hole: Hole, middle: str) -> Counter[str]:
    start = len(hole.prefix.encode())
    return names_between(tree, start, start + len(middle.encode()))
