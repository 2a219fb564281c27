"""Where the statement begins that a text's end leaves open, by its brackets."""

from inkling.context.marks import left_open, scan
from inkling.postprocess.place import Place


def num_closed_lines(text: str, place: Place) -> int:
    """How many of the lines of `text` stand before a statement whose brackets are open at its end.

    All of them if none is open. In Python all brackets count; elsewhere a `{` holds statements more
    often than not, so only what was opened behind the last open one does.
    """
    num_lines = text.count("\n") + 1
    if place.marks is None:
        return num_lines
    opened = left_open(scan(text, place.marks, place.inside).brackets)
    if place.language != "python":
        last_block = max((n for n, (_, char) in enumerate(opened) if char == "{"), default=-1)
        opened = opened[last_block + 1 :]
    return text.count("\n", 0, opened[0][0]) if opened else num_lines


def is_left_open(text: str, place: Place) -> bool:
    """Whether a statement's brackets are open at the end of `text`."""
    return num_closed_lines(text, place) <= text.count("\n")
