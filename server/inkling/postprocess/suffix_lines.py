from inkling.context.languages import block_rules
from inkling.postprocess.draft import Draft

_CLOSERS = ")]}>\"'`;, \t"


def stop_at_suffix_line(draft: Draft) -> Draft:
    """The completion ends before a line that stands below the cursor already.

    A line that says little by itself (a decorator, the start of a comment, `try:`) counts only if
    the line after it is the same as well.
    """
    below = _lines_below(draft)
    if not below:
        return draft
    lines = draft.finished_lines
    closers = block_rules(draft.place.language).closers
    is_telling = _is_telling(below[0], closers)
    position = 0
    for index, line in enumerate(lines):
        whole = (draft.line_before + line if index == 0 else line).rstrip()
        if whole == below[0] and (is_telling or _goes_on_alike(lines[index + 1 :], below)):
            return draft.cut(0 if index == 0 else position - 1, "the line below")
        position += len(line) + 1
    return draft


def num_sure_lines(draft: Draft) -> int:
    """How many of the finished lines may be shown: one that stands below the cursor as well is held
    back until the line after it tells whether the completion ends there."""
    lines, below = draft.finished_lines, _lines_below(draft)
    last = next((index for index in reversed(range(len(lines))) if lines[index].strip()), -1)
    if last < 0 or not below:
        return len(lines)
    whole = (draft.line_before + lines[last] if last == 0 else lines[last]).rstrip()
    return last if whole == below[0] else len(lines)


def _lines_below(draft: Draft) -> list[str]:
    return [line.rstrip() for line in draft.suffix.split("\n", 8)[1:8] if line.strip()]


def _is_telling(line: str, closers: tuple[str, ...]) -> bool:
    text = line.strip()
    if not text.strip(_CLOSERS) or text in closers:
        return True  # the bracket, or the word, that closes what the cursor stands in
    says_much = len(text) >= 8 and any(char.isalpha() for char in text)
    return says_much and not text.startswith(("@", "#", "//", "/*", "*"))


def _goes_on_alike(following: list[str], below: list[str]) -> bool:
    next_line = next((line.rstrip() for line in following if line.strip()), None)
    return len(below) > 1 and next_line == below[1]
