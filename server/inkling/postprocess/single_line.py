from inkling.core import Extent
from inkling.postprocess.draft import Draft


def stop_at_line_end(draft: Draft) -> Draft:
    """A completion that may only finish its line ends with it."""
    if draft.extent is Extent.BLOCK:
        return draft
    end = draft.text.find("\n")
    return draft if end < 0 else draft.cut(end, "end of line")
