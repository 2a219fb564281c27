"""Where the statement begins that a text's end leaves open, by its brackets."""

from inkling.postprocess.marks import left_open, scan
from inkling.postprocess.place import Place


def num_closed_lines(text: str, place: Place) -> int:
    """How many of the lines of `text` stand before a statement whose brackets are open at its end.

    All of them if none is open. The first line with anything on it always counts. In Python all
    brackets count; elsewhere a `{` holds statements more often than not, so only what was opened
    behind the last open one does.
    """
    lines = text.split("\n")
    if place.marks is None:
        return len(lines)
    opened = left_open(scan(text, place.marks, place.inside).brackets)
    if place.language != "python":
        last_block = max((n for n, (_, char) in enumerate(opened) if char == "{"), default=-1)
        opened = opened[last_block + 1 :]
    if not opened:
        return len(lines)
    first = next(index for index, line in enumerate(lines) if line.strip())
    return max(first + 1, text.count("\n", 0, opened[0][0]))
