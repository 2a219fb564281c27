r"""Lines as LSP counts them: `\n`, `\r\n` and a lone `\r` end a line, and nothing else does.

`str.splitlines` also ends lines at form feeds, U+0085, U+2028 and others: one form feed in a file
would shift every position below it. Characters of a position are counted in UTF-8, UTF-16 or UTF-32
units, as agreed with the editor; offsets are code points.
"""

import re
from array import array
from bisect import bisect_left, bisect_right
from enum import Enum

_LINE_END = re.compile(r"\r\n?|\n")


class Encoding(Enum):
    """The unit of a position's `character`. The value is LSP's name for it."""

    UTF8 = "utf-8"
    UTF16 = "utf-16"
    UTF32 = "utf-32"


class LineIndex:
    """Where each line of one text starts. Follows the text's edits without looking at all of it."""

    def __init__(self, text: str) -> None:
        self._starts = array("l", [0])
        self._starts.extend(match.end() for match in _LINE_END.finditer(text))

    @property
    def num_lines(self) -> int:
        """Never 0: an empty text has one empty line."""
        return len(self._starts)

    def edit(self, text: str, start: int, end: int, new_len: int) -> None:
        """Follow an edit: offsets `start` to `end` of the old text became `new_len` characters.

        `text` is the text after the edit.
        """
        starts = self._starts
        shift = new_len - (end - start)
        # A line that starts right at either end of the edit may join another there (`\r` and `\n`
        # meet) or cease to: look at these again, keep what starts strictly before or after.
        first = max(bisect_left(starts, start), 1)
        last = bisect_right(starts, end)
        stop = starts[last] + shift if last < len(starts) else len(text)
        found = (match.end() for match in _LINE_END.finditer(text, starts[first - 1], stop))
        kept = starts[last + 1 :]
        del starts[first:]
        starts.extend(found)
        starts.extend(map(shift.__add__, kept) if shift else kept)

    def offset_at(self, text: str, line: int, character: int, encoding: Encoding) -> int:
        """Offset of a position. One outside the text is moved to the nearest place inside: the
        end of the text or of the line; one inside a character to the character's start."""
        if line >= self.num_lines:
            return len(text)
        start = self._starts[line]
        end = self._line_end(text, line)
        if encoding is Encoding.UTF32 or text.isascii():
            return min(start + character, end)
        # A line of n characters has at least n units: what is left of it is enough to encode.
        content = text[start : min(end, start + character)]
        if encoding is Encoding.UTF8:
            return start + len(content.encode()[:character].decode(errors="ignore"))
        units = content.encode("utf-16-le")[: 2 * character]
        return start + len(units.decode("utf-16-le", errors="ignore"))

    def position_at(self, text: str, offset: int, encoding: Encoding) -> tuple[int, int]:
        """Line and character of an offset. Between `\\r` and `\\n` is the end of the line."""
        line = bisect_right(self._starts, min(offset, len(text))) - 1
        start = self._starts[line]
        content = text[start : min(offset, self._line_end(text, line))]
        if encoding is Encoding.UTF32 or content.isascii():
            return line, len(content)
        if encoding is Encoding.UTF8:
            return line, len(content.encode())
        return line, len(content.encode("utf-16-le")) // 2

    def _line_end(self, text: str, line: int) -> int:
        """Offset of the end of a line's content, before what ends the line."""
        if line + 1 == self.num_lines:
            return len(text)
        end = self._starts[line + 1] - 1
        return end - 1 if text[end] == "\n" and end > 0 and text[end - 1] == "\r" else end
