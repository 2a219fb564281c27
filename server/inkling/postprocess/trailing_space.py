from dataclasses import replace

from inkling.postprocess.draft import Draft


def trim_trailing_space(draft: Draft) -> Draft:
    """No completion ends in white space; one of nothing else is no completion."""
    if not (draft.is_whole or draft.is_done):
        return draft
    return replace(draft, text=draft.text.rstrip())
