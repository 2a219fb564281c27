"""`‸` is the cursor; what would be replaced is drawn as `├…┤`, what stands around the model's text
with it: `├lead▸tail┤`."""

from inkling.context.syntax import parse
from inkling.function.place import FunctionPlace, function_place
from tests.pictures import at_cursor


def place_in(picture: str, language: str = "python") -> FunctionPlace | None:
    text, offset = at_cursor(picture)
    return function_place(parse(language, text), text, offset)


def drawn(picture: str, language: str = "python") -> str:
    """The document with the place in it, "" if there is none."""
    text, _ = at_cursor(picture)
    place = place_in(picture, language)
    if place is None:
        return ""
    assert 0 <= place.start <= place.end <= len(text)
    before, behind = text[: place.start], text[place.end :]
    return f"{before}├{place.lead}▸{place.tail}┤{behind}"
