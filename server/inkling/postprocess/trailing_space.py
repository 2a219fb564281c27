from dataclasses import replace

from inkling.postprocess.draft import Draft


def trim_trailing_space(draft: Draft) -> Draft:
    """No completion ends in white space; one of nothing else is no completion.

    A block before a closing bracket of the editor's keeps its last line break: the bracket stands
    on a line of its own.
    """
    if not draft.is_settled:
        return draft
    stripped = draft.text.rstrip()
    if "\n" in stripped and draft.suffix[:1] in (")", "]", "}"):
        last_break = draft.text.rfind("\n")
        if last_break >= len(stripped):
            return replace(draft, text=stripped + draft.text[last_break:])
    return replace(draft, text=stripped)
