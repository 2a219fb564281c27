"""What the filters see: a completion under way, and the place it is for."""

from dataclasses import dataclass, replace

from inkling.core import Extent
from inkling.postprocess.place import Place


@dataclass(frozen=True)
class Draft:
    """`text` as far as it is generated; `is_whole` once no more will come.

    `is_done` is set by a filter that knows the completion's end. `cut_by` names the filter that
    left nothing of the text.
    """

    text: str
    place: Place
    is_whole: bool = False
    is_done: bool = False
    cut_by: str = ""

    @property
    def line_before(self) -> str:
        """The cursor's line left of the cursor."""
        return self.place.line_before

    @property
    def suffix(self) -> str:
        """The document right of the cursor."""
        return self.place.suffix

    @property
    def extent(self) -> Extent:
        """How far the completion may reach."""
        return self.place.extent

    def cut(self, end: int, by: str) -> "Draft":
        """The draft ended at `end` by a filter; nothing after it will be asked for."""
        text = self.text[:end]
        return replace(
            self, text=text, is_done=True, cut_by=by if not text.strip() else self.cut_by
        )

    @property
    def is_settled(self) -> bool:
        """Whether no more will come."""
        return self.is_whole or self.is_done

    @property
    def finished_lines(self) -> list[str]:
        """The lines that will not change any more."""
        lines = self.text.split("\n")
        return lines if self.is_settled else lines[:-1]
