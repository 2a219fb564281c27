"""What of a long document is parsed at each key: its head, where the imports stand, and what is near the
cursor. The rest is blank, so that all offsets and lines stay what they are.

A parser that goes on from its last tree still visits every statement of a file's top level: milliseconds
in 10,000 lines, and a quotation mark turns all code below it into a string, which takes a hundred.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

from inkling.common_prefix import common_prefix_len, common_suffix_len
from inkling.context.marks import Marks, marks_of, match, scan

# All in characters. Shorter documents are parsed whole.
MIN_LEN = 120_000
HEAD = 8_000
ABOVE, BELOW = 16_000, 4_000
# A cursor closer to the end of its window than this gets another one.
MARGIN = 2_000
# How far a window may reach further to begin and end between statements.
MAX_SEARCHED = 16_000
MAX_TRIES = 4

# A line at the margin behind an empty one, which closes nothing: most often a statement begins there.
_BOUNDARY = re.compile(r"(?:(?<=\n\n)|(?<=\n\r\n))(?=[^\s)\]}])")


@dataclass(frozen=True)
class Window:
    """Of `text` the first `head` characters and those from `start` to `end` are parsed. `blank` stands
    for what is between: a comment of as many bytes, characters and lines."""

    text: str
    head: int
    start: int
    end: int
    blank: bytes

    def source(self) -> bytes:
        """What is parsed, in UTF-8."""
        head, near = self.text[: self.head], self.text[self.start : self.end]
        return _encoded(head) + self.blank + _encoded(near)

    def num_bytes(self, offset: int) -> int:
        """How many bytes stand before an offset at or behind `start`."""
        head, near = self.text[: self.head], self.text[self.start : offset]
        return _num_bytes(head) + len(self.blank) + _num_bytes(near)

    def moved(self, text: str, cursor: int) -> "Window | None":
        """The window after one edit within it; None if another one is needed."""
        same_start = common_prefix_len(self.text, text)
        room = min(len(self.text), len(text)) - same_start
        same_end = min(room, common_suffix_len(self.text, text))
        end = self.end + len(text) - len(self.text)
        is_edited_within = self.start <= same_start and len(self.text) - same_end <= self.end
        is_within = text == self.text or is_edited_within
        is_near_start = cursor < self.start + MARGIN and self.start > 0
        is_near_end = cursor > end - MARGIN and end < len(text)
        if not is_within or is_near_start or is_near_end:
            return None
        return replace(self, text=text, end=end)

    def goes_on_from(self, other: "Window") -> bool:
        """Whether both leave out the same text above."""
        return self.blank is other.blank


def window_at(text: str, cursor: int, language: str, old: Window | None) -> Window | None:
    """What to parse of a text that is edited at `cursor`: the `old` window, if it can be moved there.
    None: all of it, since it is short, or nothing tells where a statement begins."""
    if len(text) < MIN_LEN:
        return None
    moved = old.moved(text, cursor) if old is not None else None
    marks = marks_of(language)
    if moved is not None or marks is None:
        return moved
    return _made(text, cursor, language, marks)


def _made(text: str, cursor: int, language: str, marks: Marks) -> Window | None:
    def is_between_statements(begin: int, at: int) -> bool:
        found = scan(text[begin:at], marks)
        return not found.inside and not match(found.brackets)[0]

    head = next((at for at in _above(text, HEAD) if is_between_statements(0, at)), None)
    if head is None:
        return None
    start = next(
        (at for at in _above(text, cursor - ABOVE) if is_between_statements(head, at)), None
    )
    if cursor - ABOVE < HEAD:
        head = start = 0
    blank = _blank(text[head:start], marks) if start is not None and start >= head else None
    if start is None or blank is None:
        return None
    near_end = cursor + BELOW
    # Brackets may be open at the cursor; a string that is cut in two would be an error.
    ends = (found.start() for found in _BOUNDARY.finditer(text, near_end, near_end + MAX_SEARCHED))
    tried = islice(ends, MAX_TRIES)
    end = next((at for at in tried if not scan(text[start:at], marks).inside), None)
    return Window(text, head, start, len(text) if end is None else end, blank)


def _blank(text: str, marks: Marks) -> bytes | None:
    """A comment like `text` in bytes, characters and lines; None if there is none."""
    if not text:
        return b""
    mark = next(iter(marks.line_comments), None)
    num_lines = text.count("\n")
    num_more = _num_bytes(text) - len(text)  # bytes than characters
    wide = "\u3000" * (num_more // 2) + "\u00a0" * (num_more % 2)
    num_spaces = len(text) - num_lines - len(mark or "") - len(wide)
    if mark is None or num_spaces < 0:
        return None
    return f"{mark}{wide}{' ' * num_spaces}{chr(10) * num_lines}".encode()


def _above(text: str, end: int) -> Iterator[int]:
    """The last boundaries before `end`, the nearest first."""
    begin = max(0, end - MAX_SEARCHED)
    found = [it.start() for it in _BOUNDARY.finditer(text, begin, max(0, end))]
    return iter(found[: -MAX_TRIES - 1 : -1])


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", errors="surrogatepass")


def _num_bytes(text: str) -> int:
    return len(_encoded(text))
