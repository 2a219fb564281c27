"""What there is to know of a definition without its code: a function's header, a class's members."""

from collections.abc import Sequence
from functools import lru_cache

from inkling.context.definitions import Definition, definitions
from inkling.context.scope import indent_of
from inkling.context.syntax import parse

MAX_LINES = 16  # of one definition
MAX_HEADER_LINES = 4  # of a member
MAX_LINE_LEN = 200  # characters; longer lines are data

_WITH_MEMBERS = frozenset({"class", "interface", "enum", "module", "type"})
_QUOTES = ('"""', "'''")
_COMMENTS = ("#", "//", "/*", "*")


@lru_cache(maxsize=128)
def definitions_of(language: str, text: str) -> tuple[Definition, ...]:
    """The definitions of a text, remembered for as long as it is one of the last hundred."""
    tree = parse(language, text)
    return definitions(tree) if tree is not None else ()


def skeleton(lines: Sequence[str], found: Sequence[Definition], definition: Definition) -> str:
    """The header of a definition; of one with members also theirs and its fields.

    `lines` are the file's, `found` its definitions. Comments and docstrings are left out, and what
    comes after `MAX_LINES`.
    """
    kept = definition.signature.split("\n")
    if definition.kind in _WITH_MEMBERS:
        kept += _members(lines, found, definition, len(kept))
    return "\n".join(line for line in kept[:MAX_LINES] if len(line) <= MAX_LINE_LEN)


def _members(
    lines: Sequence[str], found: Sequence[Definition], outer: Definition, num_header: int
) -> list[str]:
    inner = {
        it.first_line: it
        for it in reversed(found)
        if outer.first_line < it.first_line and it.last_line <= outer.last_line
    }
    kept: list[str] = []
    body_indent, quote, at = -1, "", outer.first_line + num_header
    while at <= min(outer.last_line, len(lines) - 1):
        line = lines[at]
        text = line.strip()
        if quote:
            quote = "" if quote in text else quote
        elif text.startswith(_QUOTES):
            quote = "" if text[3:].endswith(text[:3]) else text[:3]
        elif at in inner:
            body_indent = indent_of(line) if body_indent < 0 else body_indent
            kept += inner[at].signature.split("\n")[:MAX_HEADER_LINES]
            at = inner[at].last_line
        elif text and not text.startswith(_COMMENTS):
            body_indent = indent_of(line) if body_indent < 0 else body_indent
            if indent_of(line) == body_indent:
                kept.append(line.rstrip())
        at += 1
    return kept
