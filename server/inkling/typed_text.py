"""What the user has typed since a completion was made, and what that leaves of it.

Accepting a word or a line is typing too. An editor types some of it by itself: it closes brackets and
quotes behind the cursor, and indents each new line, also one that is to stay empty.
"""

import re
from dataclasses import dataclass

# What an editor closes by itself, once or nested: `)`, `"""`, and after Enter `\n    }`.
_CLOSER = re.compile(r"(?:\s*[)\]}\"'`]){1,8}")
_PAIRS = {")": "(", "]": "[", "}": "{"}
_INDENTATION = " \t"


@dataclass(frozen=True)
class Typed:
    """`text` stands, with `\\n` as line end, where the completion was to go; `closer` is what the
    editor has put behind the cursor."""

    text: str
    closer: str


def typed_since(origin: str, start: int, now: str, offset: int) -> Typed | None:
    """What was typed at `start` of a document with the text `origin`, when it has become `now` with
    the cursor at `offset` (code points); None if it differs elsewhere too."""
    if offset < start or not now.startswith(origin[:start]):
        return None
    suffix, followed = origin[start:], now[offset:]
    closer = ""
    if followed != suffix:
        closer = followed[: len(followed) - len(suffix)]
        if followed[len(closer) :] != suffix or not _CLOSER.fullmatch(closer):
            return None
    return Typed(_one_line_end(now[start:offset]), _one_line_end(closer))


def rest_of(text: str, typed: str) -> str | None:
    """What of `text` is left behind `typed`; None if it does not begin so. Empty lines are alike
    whatever blanks are on them."""
    if text.startswith(typed):
        return text[len(typed) :]
    start = 0
    *lines, last = typed.split("\n")
    for line in lines:
        end = text.find("\n", start)
        if end < 0 or (text[start:end] != line and (text[start:end] + line).strip(_INDENTATION)):
            return None
        start = end + 1
    if text.startswith(last, start):
        return text[start + len(last) :]
    below = text[start:].lstrip(_INDENTATION)
    is_empty_line = bool(lines) and below.startswith("\n") and not last.strip(_INDENTATION)
    return below if is_empty_line else None


def rest_before(rest: str, closer: str) -> str | None:
    """What of `rest` fits between the cursor and the `closer` that the editor has put behind it;
    None if `rest` does not close what the closer closes."""
    if rest.endswith(closer):
        return rest.removesuffix(closer)
    mark = closer.lstrip()[0]
    depth = 0
    for at, char in enumerate(rest):
        if char == mark and not depth:
            return rest[:at] if closer[0] == mark else rest[:at].rstrip()
        depth += (char == _PAIRS.get(mark)) - (char == mark)
    return None


def _one_line_end(text: str) -> str:
    return text.replace("\r\n", "\n")
