"""Where the block being written ends, by indentation: works while it is still being written.

The same rule ends a block completion in the editor and cut the demo model's training examples, so
the model learnt to stop where the product stops.

    def total(xs):‸          header line: its body is what is indented deeper
        return sum(xs)
                             ← the block ends before the next line that is not
    def other(): ...
"""

import re
from dataclasses import dataclass

_QUOTE = re.compile(r'"""|\'\'\'|`')
_CLOSING_BRACKETS = re.compile(r"\s*(?:[)\]}]\s*)*")
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class BlockRules:
    """What belongs to a block at its header's own indentation, beside closing brackets.

    The defaults are Python's and JavaScript's, and serve languages we know nothing of.
    """

    closers: tuple[str, ...] = ()  # words that end it as a bracket does: `end`, `fi`
    # Words that go on with it after deeper lines, behind closing brackets or not.
    continuations: tuple[str, ...] = (
        *("else", "elif", "except", "finally", "catch", "case", "default"),
    )
    # Words (and "{") that may begin a line until it is closed: `case`, `public`, `then`.
    labels: tuple[str, ...] = ()
    # What stands above a definition and belongs to it.
    leading: tuple[str, ...] = ("@", "#", "//", "/*", "*")
    # How a text begins that ends at a line of its first group alone.
    heredoc: re.Pattern[str] | None = None


DEFAULT_RULES = BlockRules()


def indent_of(line: str) -> int:
    """Width of a line's indentation in characters (a file uses tabs or spaces, seldom both)."""
    return len(line) - len(line.lstrip())


def block_end(
    line_before: str, text: str, is_whole: bool = False, rules: BlockRules = DEFAULT_RULES
) -> int | None:
    """Offset in `text` where the block begun at the cursor ends, None while more may follow.

    `line_before` is what stands left of the cursor on its line. With text on it, the block is that
    line and what is indented deeper, with its closing brackets and `else`-like continuations. On a
    blank line it is everything down to the first line that is indented less; at the margin it is
    one paragraph or one definition, with the decorators and comments above it. `is_whole` says that
    nothing follows `text`. Trailing blank lines never belong to the block.
    """
    is_header = bool(line_before.strip())
    is_margin = not line_before
    reference = indent_of(line_before) if is_header else len(line_before)
    lines = text.split("\n")
    end = position = len(lines[0])
    seen_deeper = has_gap = is_closed = False
    if not is_header and lines[0].strip():
        reference += indent_of(lines[0])
        is_header = is_margin and reference == 0
    above = line_before + lines[0]
    open_quote = _open_quote(above, "", rules)
    for index, line in enumerate(lines[1:], start=1):
        position += 1
        if open_quote:
            end = position + len(line)  # the inside of a string has no indentation
        elif index == len(lines) - 1 and not is_whole and not _is_decided(line, rules):
            return None
        elif not line.strip():
            has_gap = True
        else:
            indent = indent_of(line)
            if not is_header and end == 0:
                # A completion on an empty line may begin with a line break.
                reference = max(reference, indent) if reference else indent
            if indent < reference:
                return end
            if indent == reference and is_header:
                is_paragraph = is_margin and not has_gap and not seen_deeper
                leads_on = is_paragraph or above.lstrip().startswith(rules.leading)
                is_inside = not is_closed and _is_label(line, has_gap, rules)
                belongs = is_inside or _belongs(line, seen_deeper, has_gap, rules)
                if not leads_on and not belongs:
                    return end
                goes_on = _first_word(line) in rules.continuations
                is_closed = _closes(line, rules) and not goes_on
            seen_deeper = seen_deeper or indent > reference
            has_gap = False
            above = line
            end = position + len(line)
        position += len(line)
        open_quote = _open_quote(line, open_quote, rules)
    return end if is_whole else None


def _open_quote(line: str, open_quote: str, rules: BlockRules) -> str:
    """What closes the multi-line string that is open after `line`, "" for none: a quotation mark,
    or a line break and a heredoc's last line."""
    if open_quote.startswith("\n"):
        return "" if line.strip(" \t;,)") == open_quote[1:] else open_quote
    for mark in _QUOTE.findall(line):
        if not open_quote:
            open_quote = mark
        elif mark == open_quote:
            open_quote = ""
    if not open_quote and rules.heredoc is not None and (opened := rules.heredoc.search(line)):
        return "\n" + opened[1]
    return open_quote


def _is_decided(line: str, rules: BlockRules) -> bool:
    """Whether a line still being written already shows its indentation and its first word."""
    stripped = line.lstrip()
    words = (*rules.closers, *rules.continuations, *rules.labels)
    if any(word.startswith(stripped) for word in words):
        return False
    return len(stripped) > 8 or " " in stripped.rstrip()


def _belongs(line: str, seen_deeper: bool, has_gap: bool, rules: BlockRules) -> bool:
    """Whether a line at the header's own indentation opens, closes or continues its block."""
    if seen_deeper and _first_word(line) in rules.continuations:
        return True
    opens_late = line.lstrip().startswith("{") and not seen_deeper
    return not has_gap and (opens_late or _closes(line, rules))


def _is_label(line: str, has_gap: bool, rules: BlockRules) -> bool:
    """Whether a line at the header's own indentation is a part of a block that is still open."""
    if line.lstrip().startswith("{"):
        return "{" in rules.labels and not has_gap
    return _first_word(line) in rules.labels


def _closes(line: str, rules: BlockRules) -> bool:
    return line.lstrip().startswith((")", "]", "}")) or _first_word(line) in rules.closers


def _first_word(line: str) -> str:
    """The word a line begins with, behind closing brackets or not."""
    start = _CLOSING_BRACKETS.match(line)
    word = _WORD.match(line, start.end() if start else 0)
    return word[0] if word else ""
