import re
from dataclasses import replace

from inkling.context.marks import scan
from inkling.postprocess.draft import Draft

# What may stand before a docstring on its line: its prefix.
_ALONE = re.compile(r"[ \t]*[rRuUbBfF]*")


def trim_bare_opener(draft: Draft) -> Draft:
    """Quotes that open a docstring are shown with its first word: alone on their line they say nothing.

    Only quotes that need not end with their line. Other strings are a statement's, which
    `valid_syntax` takes away whole.
    """
    marks = draft.place.marks
    if marks is None:
        return draft
    found = scan(draft.text, marks, draft.place.inside)
    opener, at = found.inside, found.entered_at
    rest = draft.suffix.split("\n", 1)[0]
    if at < 0 or opener not in marks.long_quotes or rest.lstrip().startswith(opener):
        return draft
    line = draft.text.rfind("\n", 0, at) + 1
    before = draft.text[line:at] if line else draft.line_before + draft.text[:at]
    if draft.text[at:].rstrip() != opener or not _ALONE.fullmatch(before):
        return draft
    if not draft.is_settled:
        return replace(draft, text=draft.text[:line])
    return draft.cut(len(draft.text[:line].rstrip()), "a string or bracket left open")
