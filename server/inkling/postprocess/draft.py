"""What the filters see: a completion under way, and the text on both sides of it."""

from dataclasses import dataclass, replace

from inkling.core import Extent


@dataclass(frozen=True)
class Draft:
    """`text` as far as it is generated; `is_whole` once no more will come.

    `line_before` is the cursor's line left of the cursor, `suffix` everything right of it.
    `is_done` is set by a filter that knows the completion's end. `cut_by` names the filter that
    left nothing of the text.
    """

    text: str
    line_before: str
    suffix: str
    extent: Extent
    is_whole: bool = False
    is_done: bool = False
    cut_by: str = ""

    def cut(self, end: int, by: str) -> "Draft":
        """The draft ended at `end` by a filter; nothing after it will be asked for."""
        text = self.text[:end]
        return replace(
            self, text=text, is_done=True, cut_by=by if not text.strip() else self.cut_by
        )

    @property
    def finished_lines(self) -> list[str]:
        """The lines that will not change any more."""
        lines = self.text.split("\n")
        return lines if self.is_whole or self.is_done else lines[:-1]
