from dataclasses import replace

from inkling.context.marks import scan
from inkling.postprocess.draft import Draft


def trim_bare_opener(draft: Draft) -> Draft:
    """Quotes that open a docstring are shown with its first word: alone they say nothing.

    Only of quotes that need not end with their line; those are not alone before what closes them.
    """
    marks = draft.place.marks
    if marks is None or draft.place.inside:
        return draft
    rest = draft.suffix.split("\n", 1)[0]
    found = scan(draft.text, marks)
    opener = next((mark for mark in marks.long_quotes if draft.text.rstrip().endswith(mark)), "")
    if not opener or found.inside != opener or rest.lstrip().startswith(opener):
        return draft
    if draft.text[found.entered_at :].rstrip() != opener:
        return draft
    text = draft.text[: found.entered_at].rstrip()
    if draft.is_settled:
        return draft.cut(len(text), "a string or bracket left open")
    return replace(draft, text=text)
