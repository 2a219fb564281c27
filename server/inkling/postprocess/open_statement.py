"""Where the statement begins that a text's end leaves open, by its brackets."""

from inkling.context.marks import OPENER_OF, left_open, scan
from inkling.postprocess.place import Place


def num_closed_lines(text: str, place: Place) -> int:
    """How many of the lines of `text` stand before a statement whose brackets are open at its end.

    All of them if none is open. In Python all brackets count; elsewhere a `{` holds statements more
    often than not, so only what was opened behind the last open one does.
    """
    opened = _opened(text, place)
    return text.count("\n", 0, opened[0][0]) if opened else text.count("\n") + 1


def is_left_open(text: str, place: Place) -> bool:
    """Whether a statement's brackets are open at the end of `text`."""
    return num_closed_lines(text, place) <= text.count("\n")


def may_be_closed_below(text: str, place: Place) -> bool:
    """Whether a closer stands right of the cursor for a bracket that is open at the end of `text`."""
    openers = {OPENER_OF[closer] for closer in place.closers_below}
    return any(char in openers for _, char in _opened(text, place))


def _opened(text: str, place: Place) -> list[tuple[int, str]]:
    """The brackets of a statement that are open at the end of `text`, with their offsets."""
    if place.marks is None:
        return []
    opened = left_open(scan(text, place.marks, place.inside).brackets)
    if place.language != "python":
        last_block = max((n for n, (_, char) in enumerate(opened) if char == "{"), default=-1)
        opened = opened[last_block + 1 :]
    return opened
