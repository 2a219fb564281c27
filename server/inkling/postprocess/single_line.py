from inkling.core import Extent
from inkling.postprocess.draft import Draft
from inkling.postprocess.open_statement import is_left_open


def stop_at_line_end(draft: Draft) -> Draft:
    """A completion that may only finish its line ends with it, or with the line that closes the
    brackets it has opened, where it may go on below."""
    if draft.extent is Extent.BLOCK:
        return draft
    end = draft.text.find("\n")
    while end >= 0 and draft.place.may_go_on and is_left_open(draft.text[:end], draft.place):
        end = draft.text.find("\n", end + 1)
    return draft if end < 0 else draft.cut(end, "")  # of nothing on the line nothing was filtered
