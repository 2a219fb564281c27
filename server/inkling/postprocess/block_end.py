from inkling.context.scope import block_end
from inkling.core import Extent
from inkling.postprocess.draft import Draft


def stop_at_block_end(draft: Draft) -> Draft:
    """A block completion ends where its syntax ends, not at a token count."""
    if draft.extent is Extent.LINE:
        return draft
    end = block_end(draft.line_before, draft.text, draft.is_whole)
    return draft if end is None or end == len(draft.text) else draft.cut(end, "end of block")
