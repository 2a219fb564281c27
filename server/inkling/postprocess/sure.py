from dataclasses import replace

from inkling.postprocess import repetition, suffix_lines
from inkling.postprocess.draft import Draft
from inkling.postprocess.open_statement import num_closed_lines
from inkling.postprocess.unclosed import stop_at_unclosed

# A statement is not waited for any longer than so many lines.
MAX_HELD = 12
_CLOSERS = ")]}>\"'`;, \t"


def sure_text(draft: Draft) -> str:
    """What of an unfinished draft may be shown: what is shown is never taken away.

    Lines that come again nearby, or stand below, wait until it is known that they are no loop, and
    a closing bracket waits where the editor may have put one already. The lines of a statement wait
    until its brackets are closed, since it may have to go as a whole.
    """
    lines = draft.finished_lines
    num_sure = min(repetition.num_sure_lines(lines), suffix_lines.num_sure_lines(draft))
    lines = lines[:num_sure]
    num_closed = num_closed_lines("\n".join(lines), draft.place)
    if len(lines) - num_closed <= MAX_HELD:
        lines = lines[:num_closed]
    rest = draft.suffix.split("\n", 1)[0].strip()
    while rest and lines and _may_be_the_rest(lines[-1].rstrip(), rest):
        lines = lines[:-1]
    text = "\n".join(lines).rstrip()
    # If it ends here, it has to pass as a single line.
    return stop_at_unclosed(replace(draft, text=text, is_whole=True)).text


def _may_be_the_rest(line: str, rest: str) -> bool:
    return not line.strip(_CLOSERS) or (line[-1] in _CLOSERS and line[-1] in rest)
