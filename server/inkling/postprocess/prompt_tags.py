import re

from inkling.postprocess.draft import Draft

# As `prompt/harmony.py` writes them.
_TAG = re.compile(r"\s*</?(?:after|before|related(?: [^>]*)?)>\s*")


def stop_at_prompt_tag(draft: Draft) -> Draft:
    """The model goes on with the prompt's own form (`<before>`): what comes then is another text."""
    position = 0
    for line in draft.finished_lines:
        if _TAG.fullmatch(line):
            return draft.cut(max(0, position - 1), "the prompt's own form")
        position += len(line) + 1
    return draft
