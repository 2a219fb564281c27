from inkling.postprocess import repetition, suffix_lines
from inkling.postprocess.draft import Draft

_CLOSERS = ")]}>\"'`;, \t"


def sure_text(draft: Draft) -> str:
    """What of an unfinished draft may be shown: what is shown is never taken away.

    Lines that come again nearby, or stand below, wait until it is known that they are no loop, and
    a closing bracket waits where the editor may have put one already.
    """
    lines = draft.finished_lines
    num_sure = min(repetition.num_sure_lines(lines), suffix_lines.num_sure_lines(draft))
    lines = lines[:num_sure]
    rest = draft.suffix.split("\n", 1)[0].strip()
    while rest and lines and _may_be_the_rest(lines[-1].rstrip(), rest):
        lines = lines[:-1]
    return "\n".join(lines).rstrip()


def _may_be_the_rest(line: str, rest: str) -> bool:
    return not line.strip(_CLOSERS) or (line[-1] in _CLOSERS and line[-1] in rest)
