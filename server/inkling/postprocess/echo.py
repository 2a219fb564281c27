from dataclasses import replace

from inkling.postprocess.draft import Draft

MAX_LINES = 8
_COMMENTS = ("#", "//", "/*", "*", "--", '"""', "'''")
_UNDECIDED = -1


def drop_echo(draft: Draft) -> Draft:
    """A chat model likes to begin with the lines above the cursor again: they are left out.

    A comment counts wherever it is indented, code only where it stands alike. Lines that come
    twice more are a loop, and nothing of it is kept.
    """
    above = _lines_above(draft)
    if not above:
        return draft
    num_echoed = _num_echoed(draft, above)
    if num_echoed == 0:
        return draft
    if num_echoed == _UNDECIDED:
        return replace(draft, text="")
    rest = _without(draft, num_echoed)
    again = _num_echoed(rest, above)
    if again > 0:
        return draft.cut(0, "the lines above")
    if again == _UNDECIDED:
        return replace(draft, text="")
    return replace(rest, cut_by="" if rest.text.strip() else "the lines above")


def _lines_above(draft: Draft) -> list[str]:
    """The lines a completion may begin to repeat: those above the first line it begins anew."""
    line_before = draft.place.line_before
    if line_before.strip() and not draft.text.startswith("\n"):
        return []
    before = draft.place.before
    end = len(before) if line_before.strip() else len(before) - len(line_before)
    lines = [line for line in before[:end].rsplit("\n", 3 * MAX_LINES)[-3 * MAX_LINES :]]
    return [line.rstrip() for line in lines if line.strip()][-MAX_LINES:]


def _num_echoed(draft: Draft, above: list[str]) -> int:
    """How many lines at the start of the draft are the last ones above, as many as possible."""
    finished = len(draft.finished_lines)
    lines = (draft.place.line_before + draft.text).split("\n")
    if draft.place.line_before.strip():
        lines, finished = lines[1:], finished - 1
    written = [line for line in lines[:finished] if line.strip()][:MAX_LINES]
    partial = lines[finished].strip() if finished < len(lines) else None
    for num in range(len(above), 0, -1):
        block = above[-num:]
        if not any(map(_says_something, block)):
            continue
        if all(map(_are_alike, written, block)):
            if len(written) >= num:
                return num
            if partial is not None and block[len(written)].strip().startswith(partial):
                return _UNDECIDED
    return 0


def _says_something(line: str) -> bool:
    text = line.strip()
    is_comment = text.startswith(_COMMENTS)
    return (is_comment or len(text) >= 8) and any(char.isalpha() for char in text)


def _are_alike(written: str, above: str) -> bool:
    if above.lstrip().startswith(_COMMENTS):
        return written.strip() == above.strip()
    return written.rstrip() == above


def _without(draft: Draft, num_lines: int) -> Draft:
    """The draft without its first lines; what comes next stands where they began."""
    lines = draft.text.split("\n")
    first = next(index for index, line in enumerate(lines) if line.strip())
    end = first
    while num_lines:
        num_lines -= bool(lines[end].strip())
        end += 1
    text = "\n".join([*lines[:first], *lines[end:]])
    if first == 0:
        line_before = draft.place.line_before
        is_short = not draft.is_whole and line_before.startswith(text)
        text = "" if is_short else text.removeprefix(line_before)
    return replace(draft, text=text)
