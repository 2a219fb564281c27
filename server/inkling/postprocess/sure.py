from inkling.postprocess.draft import Draft
from inkling.postprocess.repetition import num_sure_lines


def sure_text(draft: Draft) -> str:
    """What of an unfinished draft may be shown: what is shown is never taken away.

    Lines that come again nearby wait until it is known that they are no loop, and a closing
    bracket waits where the editor may have put one already.
    """
    lines = draft.finished_lines
    lines = lines[: num_sure_lines(lines)]
    has_rest = bool(draft.suffix.split("\n", 1)[0].strip())
    while has_rest and lines and not lines[-1].strip(")]}>\"'`;, \t"):
        lines = lines[:-1]
    return "\n".join(lines).rstrip()
