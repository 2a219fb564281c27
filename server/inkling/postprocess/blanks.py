import re

from inkling.postprocess.draft import Draft

# Three blank lines, or a line's worth of spaces: nobody writes that, a small model may go on for ever.
_BLANKS = re.compile(r"\n[ \t]*\n[ \t]*\n[ \t]*\n|[ \t]{80}")


def stop_at_blanks(draft: Draft) -> Draft:
    """A run of blanks ends the completion before it."""
    run = _BLANKS.search(draft.text)
    return draft.cut(run.start(), "blanks") if run else draft
