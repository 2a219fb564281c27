from inkling.context.marks import OPENER_OF, scan
from inkling.core import Extent
from inkling.postprocess.draft import Draft


def stop_at_excess_closer(draft: Draft) -> Draft:
    """A completion ends before the first bracket that closes what the document closes itself.

    `print(x)` before an editor's automatic `)` becomes `print(x`, and a body ends before the `}`
    that stands below the cursor. What the document has not closed yet may be closed.
    """
    place = draft.place
    if place.marks is None or not any(closer in draft.text for closer in OPENER_OF):
        return draft
    judged = draft.text
    if draft.extent is Extent.BLOCK and not draft.is_settled:
        # Whether an unfinished line belongs to the block is not known yet.
        judged = judged[: judged.rfind("\n") + 1]
    outer, own = place.open_brackets, ""
    allowed = _num_unmatched(outer, place.closers_below)
    for offset, char in scan(judged, place.marks, place.inside).brackets:
        opener = OPENER_OF.get(char)
        if opener is None:
            own += char
        elif opener in own:
            own = own[: own.rindex(opener)]
        else:
            closed = outer[: outer.rindex(opener)] if opener in outer else None
            if closed is None or _num_unmatched(closed, place.closers_below_code) > allowed:
                return draft.cut(offset, "a bracket that is closed already")
            outer, own = closed, ""
    return draft


def _num_unmatched(is_open: str, closers: str) -> int:
    """How many of the closers have no opener; each closes the innermost bracket of its kind."""
    unmatched = 0
    for closer in closers:
        at = is_open.rfind(OPENER_OF[closer])
        unmatched += at < 0
        is_open = is_open[: max(at, 0)] if at >= 0 else is_open
    return unmatched
