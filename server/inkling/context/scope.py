"""Where the block being written ends, by indentation: works while it is still being written.

The same rule ends a block completion in the editor and cut the demo model's training examples, so
the model learnt to stop where the product stops.

    def total(xs):‸          header line: its body is what is indented deeper
        return sum(xs)
                             ← the block ends before the next line that is not
    def other(): ...
"""

import re

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
    one top-level definition or paragraph. `is_whole` says that nothing follows `text`. Trailing
    blank lines never belong to the block.
    """
    is_header = bool(line_before.strip())
    reference = indent_of(line_before) if is_header else len(line_before)
    lines = text.split("\n")
    end = position = len(lines[0])
    seen_deeper = has_gap = False
    if not is_header and lines[0].strip():
        reference += indent_of(lines[0])
        is_header = reference == 0
    for index, line in enumerate(lines[1:], start=1):
        position += 1
        if index == len(lines) - 1 and not is_whole and not _is_decided(line):
            return None
        if not line.strip():
            has_gap = True
        else:
            indent = indent_of(line)
            if not is_header and end == 0:
                # A completion on an empty line may begin with a line break.
                reference = max(reference, indent) if reference else indent
            if indent < reference:
                return end
            if indent == reference and is_header and not _belongs(line, seen_deeper, has_gap):
                return end
            seen_deeper = seen_deeper or indent > reference
            has_gap = False
            end = position + len(line)
        position += len(line)
    return end if is_whole else None


def _is_decided(line: str) -> bool:
    """Whether a line still being written already shows its indentation and its first word."""
    stripped = line.lstrip()
    return len(stripped) > 8 or " " in stripped.rstrip()


def _belongs(line: str, seen_deeper: bool, has_gap: bool) -> bool:
    """Whether a line at the header's own indentation closes or continues the header's block."""
    if has_gap:
        return False
    return bool(_CLOSER.match(line)) or (seen_deeper and bool(_CONTINUATION.match(line)))
