"""Where a document was edited last: the code around it may be what the next file needs too."""

from collections import deque

from inkling.core import Chunk

# Places remembered of one document, and lines shown above and below each.
MAX_PLACES = 3
LINES_AROUND = 8
# An edit this near (lines) to an earlier one is the same place.
MERGED_LINES = 2 * LINES_AROUND


class RecentEdits:
    """The places of one document, as lines counted from 0, the newest last."""

    def __init__(self) -> None:
        self._lines: deque[int] = deque(maxlen=MAX_PLACES)

    def note(self, line: int, num_removed: int, num_added: int) -> None:
        """An edit at `line` took so many line ends away and brought so many."""
        shift = num_added - num_removed
        others = [it + shift if it > line + num_removed else it for it in self._lines]
        self._lines = deque(
            (it for it in others if abs(it - line) > MERGED_LINES), maxlen=MAX_PLACES
        )
        self._lines.append(line)

    def forget(self) -> None:
        """The text is another one now."""
        self._lines.clear()

    def chunks(self, path: str, text: str) -> tuple[Chunk, ...]:
        """The code around each place, the newest first."""
        if not self._lines:
            return ()
        lines = text.split("\n")
        found = []
        for line in reversed(self._lines):
            piece = lines[max(0, line - LINES_AROUND) : line + LINES_AROUND + 1]
            found.append(Chunk(path, "\n".join(piece).strip("\n")))
        return tuple(chunk for chunk in found if chunk.text.strip())
