from inkling.postprocess.draft import Draft

MAX_PERIOD = 6  # lines
REPEATS = 3
MAX_WORD_REPEATS = 5


def stop_at_repetition(draft: Draft) -> Draft:
    """A model in a loop writes the same lines, or the same words, again and again.

    The same one to six lines three times in a row end the completion after their first
    appearance; so does the same end of a line five times over.
    """
    lines = draft.finished_lines
    for period in range(1, MAX_PERIOD + 1):
        for start in range(len(lines) - period * REPEATS + 1):
            first = lines[start : start + period]
            repeats = (lines[start + period * n :][:period] for n in range(1, REPEATS))
            if any(line.strip() for line in first) and all(lines_ == first for lines_ in repeats):
                return draft.cut(len("\n".join(lines[: start + period])), "repetition")
    return _stop_at_repeated_words(draft)


def _stop_at_repeated_words(draft: Draft) -> Draft:
    tail = draft.text[draft.text.rfind("\n") + 1 :]
    for width in range(4, len(tail) // MAX_WORD_REPEATS + 1):
        unit = tail[-width:]
        if unit.strip(" -=*#_~/.") and tail.endswith(unit * MAX_WORD_REPEATS):
            repeated = tail.find(unit * MAX_WORD_REPEATS)
            return draft.cut(len(draft.text) - len(tail) + repeated + width, "repetition")
    return draft
