from inkling.context.marks import Marks, left_open, scan
from inkling.postprocess.draft import Draft

# Behind these a line goes on below.
_GOES_ON = ("(", "[", "{", ",")


def stop_at_unclosed(draft: Draft) -> Draft:
    """A single line ends before the string, or the bracket, that it opens and nothing closes.

    `environ["A` becomes `environ`. A call that goes on below stays open: `print(`, `print(a,`.
    """
    marks = draft.place.marks
    if marks is None or not draft.is_settled or "\n" in draft.text or draft.place.inside:
        return draft
    rest = draft.suffix.split("\n", 1)[0]
    text = draft.text
    found = scan(text, marks)
    is_string = found.inside in (*marks.quotes, *marks.long_quotes)
    is_cut = is_string and scan(text + rest, marks).inside == found.inside
    if is_cut:
        text = text[: found.entered_at]
    opened = _unclosed_at(text, rest, marks)
    if opened >= 0 and (is_cut or not text.rstrip().endswith(_GOES_ON)):
        text = text[:opened]
    return draft if text == draft.text else draft.cut(len(text), "a string or bracket left open")


def _unclosed_at(text: str, rest: str, marks: Marks) -> int:
    """Where the outermost bracket stands that `text` opens and neither it nor `rest` closes; -1 if none."""
    opened = left_open(scan(text + rest, marks).brackets)
    return min((offset for offset, _ in opened if offset < len(text)), default=-1)
