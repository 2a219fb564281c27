"""Where the block being written ends, by indentation: works while it is still being written.

The same rule ends a block completion in the editor and cut the demo model's training examples, so
the model learnt to stop where the product stops.

    def total(xs):‸          header line: its body is what is indented deeper
        return sum(xs)
                             ← the block ends before the next line that is not
    def other(): ...
"""

import re

_QUOTE = re.compile(r'"""|\'\'\'|`')
# What stands above a definition and belongs to it.
_LEADING = ("@", "#", "//", "/*", "*")
# Lines at the header's own indentation that still belong to it.
_CLOSER = re.compile(r"\s*[)\]}]")
_CONTINUATION = re.compile(r"\s*(?:[)\]}]\s*)*(?:else|elif|except|finally|catch|case|default)\b")


def indent_of(line: str) -> int:
    """Width of a line's indentation in characters (a file uses tabs or spaces, seldom both)."""
    return len(line) - len(line.lstrip())


def block_end(line_before: str, text: str, is_whole: bool = False) -> int | None:
    """Offset in `text` where the block begun at the cursor ends, None while more may follow.

    `line_before` is what stands left of the cursor on its line. With text on it, the block is that
    line and what is indented deeper, with its closing brackets and `else`-like continuations. On a
    blank line it is everything down to the first line that is indented less; at the margin it is
    one paragraph or one definition, with the decorators and comments above it. `is_whole` says that nothing follows `text`. Trailing
    blank lines never belong to the block.
    """
    is_header = bool(line_before.strip())
    is_margin = not line_before
    reference = indent_of(line_before) if is_header else len(line_before)
    lines = text.split("\n")
    end = position = len(lines[0])
    seen_deeper = has_gap = False
    if not is_header and lines[0].strip():
        reference += indent_of(lines[0])
        is_header = is_margin and reference == 0
    above = line_before + lines[0]
    open_quote = _open_quote(above, "")
    for index, line in enumerate(lines[1:], start=1):
        position += 1
        if open_quote:
            end = position + len(line)  # the inside of a string has no indentation
        elif index == len(lines) - 1 and not is_whole and not _is_decided(line):
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
                leads_on = is_paragraph or above.lstrip().startswith(_LEADING)
                if not leads_on and not _belongs(line, seen_deeper, has_gap):
                    return end
            seen_deeper = seen_deeper or indent > reference
            has_gap = False
            above = line
            end = position + len(line)
        position += len(line)
        open_quote = _open_quote(line, open_quote)
    return end if is_whole else None


def _open_quote(line: str, open_quote: str) -> str:
    """The mark of the multi-line string that is open after `line`, "" for none."""
    for mark in _QUOTE.findall(line):
        if not open_quote:
            open_quote = mark
        elif mark == open_quote:
            open_quote = ""
    return open_quote


def _is_decided(line: str) -> bool:
    """Whether a line still being written already shows its indentation and its first word."""
    stripped = line.lstrip()
    return len(stripped) > 8 or " " in stripped.rstrip()


def _belongs(line: str, seen_deeper: bool, has_gap: bool) -> bool:
    """Whether a line at the header's own indentation opens, closes or continues its block."""
    if seen_deeper and _CONTINUATION.match(line):
        return True
    opens_late = line.lstrip().startswith("{") and not seen_deeper
    return not has_gap and (opens_late or bool(_CLOSER.match(line)))
