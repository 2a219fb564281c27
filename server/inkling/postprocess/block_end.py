from inkling.context.languages import block_rules
from inkling.context.scope import block_end, indent_of
from inkling.context.syntax import DOCSTRING_ENDS
from inkling.core import Extent
from inkling.postprocess.draft import Draft


def stop_at_block_end(draft: Draft) -> Draft:
    """A block completion ends where its syntax ends, not at a token count."""
    if draft.extent is Extent.LINE:
        return draft
    rules = block_rules(draft.place.language)
    end = block_end(_line_before(draft), draft.text, draft.is_settled, rules)
    if end is None or not draft.text[end:].strip():
        return draft
    return draft.cut(end, "end of block")


def _line_before(draft: Draft) -> str:
    """The line that says what the block is. A docstring is no header: what follows stands beside it,
    as it would below a blank line."""
    line = draft.line_before
    is_docstring = draft.place.language == "python" and line.rstrip().endswith(DOCSTRING_ENDS)
    return line[: indent_of(line)] if is_docstring else line
