from dataclasses import replace

from inkling.postprocess.draft import Draft


def trim_suffix_overlap(draft: Draft) -> Draft:
    """What the completion ends with and the rest of the cursor's line begins with is kept once.

    `print(x)` before an editor's automatic `)` becomes `print(x`.
    """
    rest = draft.suffix.split("\n", 1)[0].rstrip()
    if not rest or not (draft.is_whole or draft.is_done) or "\n" in draft.text:
        return draft
    for length in range(min(len(rest), len(draft.text)), 0, -1):
        if draft.text.endswith(rest[:length]) and (length == len(rest) or _closes(rest[:length])):
            text = draft.text[:-length]
            return replace(draft, text=text, cut_by="" if text else "the text after the cursor")
    return draft


def _closes(text: str) -> bool:
    return all(char in ")]}>\"'`;,: " for char in text)
