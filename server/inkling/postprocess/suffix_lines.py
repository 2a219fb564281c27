from inkling.postprocess.draft import Draft

_CLOSERS = ")]}>\"'`;, \t"


def stop_at_suffix_line(draft: Draft) -> Draft:
    """The completion ends before a line that stands below the cursor already.

    A line that says little by itself (a decorator, the start of a comment, `try:`) counts only if
    the line after it is the same as well.
    """
    below = [line.rstrip() for line in draft.suffix.split("\n", 8)[1:8] if line.strip()]
    if not below:
        return draft
    lines = draft.finished_lines
    position = 0
    for index, line in enumerate(lines):
        whole = (draft.line_before + line if index == 0 else line).rstrip()
        if whole == below[0] and (_is_telling(whole) or _goes_on_alike(lines[index + 1 :], below)):
            return draft.cut(0 if index == 0 else position - 1, "the line below")
        position += len(line) + 1
    return draft


def _is_telling(line: str) -> bool:
    text = line.strip()
    if not text.strip(_CLOSERS):
        return True  # the bracket that closes what the cursor stands in
    says_much = len(text) >= 8 and any(char.isalpha() for char in text)
    return says_much and not text.startswith(("@", "#", "//", "/*", "*"))


def _goes_on_alike(following: list[str], below: list[str]) -> bool:
    next_line = next((line.rstrip() for line in following if line.strip()), None)
    return len(below) > 1 and next_line == below[1]
