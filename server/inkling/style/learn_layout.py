"""Indent, quotes, line length, and what ends a statement, from the code's text."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from tree_sitter import Node

from inkling.style.rules import Kind, Rank, Rule
from inkling.style.sample import Source
from inkling.style.tally import Tally, evidence
from inkling.style.trees import nodes, text_of

# Where formatters and linters are told to stop, in the languages Inkling reads.
USUAL_LIMITS = (*(72, 79, 80, 88, 90, 95, 96, 99, 100, 105, 110, 115, 119, 120), 130, 132, 140, 160)
# At a limit that is kept, the lines that come close to it outnumber by far those beyond.
_EDGE = 10  # columns below a limit that count as close
_MIN_CLOSE = 20  # lines
_MAX_BEYOND = 0.05  # of the lines that come close
_MAX_NEXT = 0.2  # lines one column too long, of the mean of the columns below
# No formatter breaks a string: a line that is mostly one says nothing of the limit.
_LONG_STRING_BYTES = 30
_TAB_COLUMNS = 4

_QUOTING_FAMILIES = frozenset({"javascript", "php", "python", "ruby"})
_STRING_NODES = frozenset({"string", "encapsed_string"})
# A literal that could be written with either quotation mark: no mark, escape or interpolation in it.
_PLAIN_STRING = re.compile(r"""[fFrRbBuU]{0,2}(?:"(?!"")[^"'\\\n$#]*"|'(?!'')[^"'\\\n$#]*')""")
_STATEMENTS = "[(expression_statement) (lexical_declaration) (return_statement) (import_statement)] @statement"
_LISTS = "[(object) (array) (arguments) (formal_parameters)] @list"


def learn_layout(family: str, sources: Sequence[Source]) -> Iterator[Rule]:
    """The layout rules that the sources of one family follow."""
    found = [_indent(family, sources), _line_length(family, sources)]
    if family in _QUOTING_FAMILIES:
        found.append(_quotes(family, sources))
    if family == "javascript":
        found += [_semicolons(family, sources), _trailing_commas(family, sources)]
    yield from (rule for rule in found if rule is not None)


def _indent(family: str, sources: Sequence[Source]) -> Rule | None:
    """By how much the line after a block's opener is indented more."""
    tally = Tally()
    for source in sources:
        above = ""
        for line in source.text.split("\n"):
            if not line.strip():
                continue
            if _opens(source, above):
                old, new = _leading(above), _leading(line)
                if len(new) > len(old) and new.startswith(old):
                    added = new[len(old) :]
                    tally.add("tabs" if "\t" in added else f"{len(added)} spaces", source.path)
            above = line
    return tally.rule(Kind.INDENT, family, "blocks")


def _opens(source: Source, line: str) -> bool:
    stripped = line.strip()
    if source.family == "python":
        return stripped.endswith(":") and "#" not in stripped
    if stripped.endswith("{"):
        return True
    is_worded = source.family in ("bash", "ruby")
    return is_worded and stripped.partition(" ")[0] in source.tree.language.header_words


def _leading(line: str) -> str:
    return line[: len(line) - len(line.lstrip(" \t"))]


def _quotes(family: str, sources: Sequence[Source]) -> Rule | None:
    tally = Tally()
    for source in sources:
        counts: Counter[str] = Counter()
        for node in source.prose:
            if node.type not in _STRING_NODES:
                continue
            text = text_of(node)
            if (
                len(text) > 2
                and _PLAIN_STRING.fullmatch(text)
                and not (family == "javascript" and _is_attribute(node))
            ):
                counts["double" if text.endswith('"') else "single"] += 1
        for value, count in counts.items():
            tally.add(value, source.path, count)
    return tally.rule(Kind.QUOTES, family, "strings")


def _is_attribute(node: Node) -> bool:
    """JSX attributes have double quotes wherever the code has single ones."""
    return node.parent is not None and node.parent.type == "jsx_attribute"


def _line_length(family: str, sources: Sequence[Source]) -> Rule | None:
    """The smallest usual limit at which the lengths of code lines end as if cut off."""
    lengths: Counter[int] = Counter()
    for source in sources:
        lengths.update(_code_lengths(source))
    total, beyond = lengths.total(), lengths.total()
    reached = 0
    for limit in USUAL_LIMITS:
        beyond -= sum(lengths[length] for length in range(reached, limit + 1))
        reached = limit + 1
        close = sum(lengths[length] for length in range(limit - _EDGE + 1, limit + 1))
        is_edge = lengths[limit + 1] <= _MAX_NEXT * close / _EDGE
        if close >= _MIN_CLOSE and beyond <= _MAX_BEYOND * close and is_edge:
            said = evidence(total - beyond, total, "lines of code", len(sources))
            return Rule(Kind.LINE_LENGTH, str(limit), family, said, Rank.LEARNT)
    return None


def _code_lengths(source: Source) -> Iterator[int]:
    """The lengths of the lines that a formatter could break: no comments, no long strings."""
    skipped: set[int] = set()
    for node in source.prose:
        first, last = node.start_point.row, node.end_point.row
        is_long = last > first or node.end_byte - node.start_byte > _LONG_STRING_BYTES
        if is_long or "comment" in node.type:
            skipped.update(range(first, last + 1))
    for row, line in enumerate(source.text.split("\n")):
        if row not in skipped:
            yield len(line.expandtabs(_TAB_COLUMNS))


def _semicolons(family: str, sources: Sequence[Source]) -> Rule | None:
    tally = Tally()
    for source in sources:
        for node in nodes(source.tree, _STATEMENTS):
            is_ended = source.tree.source[node.end_byte - 1 : node.end_byte] == b";"
            tally.add("always" if is_ended else "never", source.path)
    return tally.rule(Kind.SEMICOLONS, family, "statements")


def _trailing_commas(family: str, sources: Sequence[Source]) -> Rule | None:
    """Of lists that are written one item a line: whether the last has a comma."""
    tally = Tally()
    for source in sources:
        for node in nodes(source.tree, _LISTS):
            inner = [child for child in node.children if child.type != "comment"][1:-1]
            last = inner[-1] if inner else None
            if last is not None and last.end_point.row < node.end_point.row:
                tally.add("always" if last.type == "," else "never", source.path)
    return tally.rule(Kind.TRAILING_COMMAS, family, "lists of several lines")
