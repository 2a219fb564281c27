from dataclasses import replace

from inkling.context.marks import OPENER_OF
from inkling.postprocess.draft import Draft

# A part of the rest of the line is taken for it from this length (characters) on.
MIN_PART = 8


def trim_suffix_overlap(draft: Draft) -> Draft:
    """What the completion ends with and the rest of the cursor's line begins with is kept once.

    `print(x)` before an editor's automatic `)` becomes `print(x`. A bracket that the completion
    opened itself stays: `len(x)` is whole before that `)`.
    """
    rest = draft.suffix.split("\n", 1)[0].rstrip()
    if not rest or not draft.is_settled:
        return draft
    for length in range(min(len(rest), len(draft.text)), 0, -1):
        overlap = rest[:length]
        if draft.text.endswith(overlap) and _belongs_to_editor(draft.text, overlap, rest):
            text = draft.text[:-length]
            return replace(draft, text=text, cut_by="" if text else "the text after the cursor")
    return draft


def _belongs_to_editor(text: str, overlap: str, rest: str) -> bool:
    """Whether an overlap is the text after the cursor written again."""
    if not all(char in ")]}>\"'`;,: " for char in overlap):
        is_telling = overlap == rest or len(overlap.strip()) >= MIN_PART
        return is_telling and "\n" not in text
    return all(_has_unopened(text, char) for char in overlap if char in ")]}\"'`")


def _has_unopened(text: str, closer: str) -> bool:
    opener = OPENER_OF.get(closer)
    if opener is None:
        return text.count(closer) % 2 == 1
    return text.count(closer) > text.count(opener)
