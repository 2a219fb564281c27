"""The first sentence of what is written about a definition: its docstring, or the comment above it."""

import re
from collections.abc import Sequence

from inkling.context.definitions import Definition
from inkling.context.scope import BlockRules

MAX_LEN = 200

_DOCSTRING = re.compile(r'\s*[rRuU]?("""|\'\'\'|"|\')')
_COMMENT = re.compile(r"\s*(?:///?!?|//|/\*\*?|\*/?|#+)(?!\[)\s?")
_ABOVE = ("@", "#[", "[")  # decorators and attributes stand between a comment and its definition
_TAGS = re.compile(r"</?(?:summary|para|p|remarks)>")
_SENTENCE = re.compile(r"(?<=[.!?])(?:\s|$)")
_WORD = re.compile(r"\w\w")


def doc_line(lines: Sequence[str], definition: Definition, rules: BlockRules, family: str) -> str:
    """The sentence, in one line of at most `MAX_LEN` characters; "" if there is none.

    `lines` are those of the file, `rules` and `family` its language's.
    """
    if family == "python" and (text := _docstring(lines, definition)):
        return _first_sentence(text)
    return _first_sentence(_comment_above(lines, definition.first_line, rules))


def _docstring(lines: Sequence[str], definition: Definition) -> list[str]:
    """The lines of a Python docstring without its quotation marks."""
    start = definition.first_line + definition.signature.count("\n") + 1
    while start <= definition.last_line and not lines[start].strip():
        start += 1
    if start > definition.last_line or not (opened := _DOCSTRING.match(lines[start])):
        return []
    quote = opened[1]
    text = [lines[start][opened.end() :], *lines[start + 1 : definition.last_line + 1]]
    if len(quote) == 1:
        del text[1:]
    found = []
    for line in text:
        inside, end, _ = line.partition(quote)
        found.append(inside)
        if end:
            break
    return found


def _comment_above(lines: Sequence[str], first_line: int, rules: BlockRules) -> list[str]:
    """The lines of the comment that ends directly above a definition, without their marks."""
    marks = tuple(mark for mark in rules.leading if mark not in _ABOVE)
    line = first_line - 1
    while line >= 0 and lines[line].lstrip().startswith(_ABOVE):
        line -= 1
    end = line + 1
    while line >= 0 and lines[line].lstrip().startswith(marks):
        line -= 1
    return [_COMMENT.sub("", text, count=1).removesuffix("*/") for text in lines[line + 1 : end]]


def _first_sentence(lines: Sequence[str]) -> str:
    """Up to a full stop, an empty line or a `@tag`, whatever comes first."""
    said: list[str] = []
    for line in lines:
        text = _TAGS.sub("", line).strip()
        is_text = _WORD.search(text) is not None and not text.startswith("@")
        if said and not is_text:
            break
        if is_text:
            said.append(text)
            if _SENTENCE.search(text):
                break
    sentence = _SENTENCE.split(" ".join(said), maxsplit=1)[0]
    return sentence if len(sentence) <= MAX_LEN else sentence[: MAX_LEN - 1].rstrip() + "…"
