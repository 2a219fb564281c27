import re
from functools import lru_cache

from inkling.postprocess.draft import Draft

MAX_PERIOD = 6  # lines
REPEATS = 3
MAX_APPEARANCES = 3  # of one line, wherever it stands
MAX_WORD_REPEATS = 5
# Four characters or more, one of which is no decoration (`# -----`).
_REPEATED_WORDS = re.compile(
    r"((?:[^ \-=*#_~/.].{3}|.[^ \-=*#_~/.]..|..[^ \-=*#_~/.].|.{3}[ \-=*#_~/.]*[^ \-=*#_~/.]).*?)"
    rf"\1{{{MAX_WORD_REPEATS - 1}}}"
)
SHORT_LINE = 8  # characters: `}`, `end` and the like come again in good code, further out


def stop_at_repetition(draft: Draft) -> Draft:
    """A model in a loop writes the same lines, or the same words, again and again.

    One to six lines that stand three times in a row end the completion after their first
    appearance, the longer ones whatever their indentation. So do the same words five times in a row; and a line
    comes before the end where it would stand a fourth time.
    """
    lines = draft.finished_lines
    keys = [_key(line) for line in lines]
    for end in range(1, len(lines) + 1):
        if period := _period_at(keys, end):
            return _cut_lines(draft, lines, end - (REPEATS - 1) * period)
        key = keys[end - 1]
        if _is_one_of_a_kind(key) and keys[:end].count(key) > MAX_APPEARANCES:
            return _cut_lines(draft, lines, end - 1)
    return _stop_at_repeated_words(draft)


def num_sure_lines(lines: list[str]) -> int:
    """How many of the finished lines may be shown: lines that have come before, nearby, are held
    back until the next says whether it is a loop, since what is shown is never taken away."""
    keys = [_key(line) for line in lines]
    sure = len(lines)
    for period in range(1, MAX_PERIOD + 1):
        start = len(lines)
        while start > period and keys[start - 1] == keys[start - 1 - period]:
            start -= 1
        sure = min(sure, start)
    return sure


def _period_at(lines: list[str], end: int) -> int:
    """The length of a round that has just come for the third time, 0 if none has."""
    for period in range(1, min(MAX_PERIOD, end // REPEATS) + 1):
        last = lines[end - period : end]
        rounds = (lines[end - period * n : end - period * (n - 1)] for n in range(2, REPEATS + 1))
        if any(map(_says_something, last)) and all(each == last for each in rounds):
            return period
    return 0


def _key(line: str) -> str:
    """What makes two lines the same: their text, and for short ones where it stands as well."""
    return line.strip() if len(line.strip()) > SHORT_LINE else line.rstrip()


def _says_something(line: str) -> bool:
    """Rows of numbers and brackets come again in good data."""
    return any(char.isalpha() for char in line)


def _is_one_of_a_kind(line: str) -> bool:
    """A function may leave in the same way at several places; little else is said four times."""
    leaves = line.startswith(("return", "break", "continue", "raise", "throw"))
    return len(line.strip()) > SHORT_LINE and _says_something(line) and not leaves


def _cut_lines(draft: Draft, lines: list[str], num_lines: int) -> Draft:
    return draft.cut(len("\n".join(lines[:num_lines])), "repetition")


def _stop_at_repeated_words(draft: Draft) -> Draft:
    position = 0
    for line in draft.text.split("\n"):
        if (end := _end_of_first_words(line)) is not None:
            return draft.cut(position + end, "repetition")
        position += len(line) + 1
    return draft


@lru_cache(maxsize=256)
def _end_of_first_words(line: str) -> int | None:
    """Where the words end that a line then repeats, None if it does not. The loop that is complete
    first counts: the same whether the line comes whole or piece by piece."""
    loop, end = None, len(line)
    while found := _REPEATED_WORDS.search(line, 0, end):
        loop, end = found, found.end() - 1
    return None if loop is None else loop.end(1)
