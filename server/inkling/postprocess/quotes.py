from inkling.context.marks import scan
from inkling.postprocess.draft import Draft


def stop_at_excess_quote(draft: Draft) -> Draft:
    """A completion in a string that its line closes already does not close it once more.

    `open("├a.txt")┤")` becomes `open("a.txt")`; but `"├a" + "b┤"` is whole.
    """
    place = draft.place
    is_settled = draft.is_whole or draft.is_done
    if place.marks is None or not is_settled or "\n" in draft.text:
        return draft
    if place.inside not in place.marks.quotes:
        return draft
    rest = draft.suffix.split("\n", 1)[0]
    left_at = scan(draft.text, place.marks, place.inside).left_at
    if left_at < 0 or scan(rest, place.marks, place.inside).inside:
        return draft
    if not scan(draft.text + rest, place.marks, place.inside).inside:
        return draft
    return draft.cut(left_at - len(place.inside), "the quote after the cursor")
