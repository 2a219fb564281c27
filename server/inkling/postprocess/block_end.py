from inkling.context.languages import block_rules
from inkling.context.scope import block_end
from inkling.core import Extent
from inkling.postprocess.draft import Draft


def stop_at_block_end(draft: Draft) -> Draft:
    """A block completion ends where its syntax ends, not at a token count."""
    if draft.extent is Extent.LINE:
        return draft
    rules = block_rules(draft.place.language)
    end = block_end(draft.line_before, draft.text, draft.is_settled, rules)
    if end is None or not draft.text[end:].strip():
        return draft
    return draft.cut(end, "end of block")
