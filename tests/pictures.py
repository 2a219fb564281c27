"""Tests as pictures: `‸` is the cursor."""

from inkling.core import DocumentSnapshot

CURSOR = "‸"


def at_cursor(picture: str) -> tuple[str, int]:
    """Text without the mark, and the mark's offset."""
    assert picture.count(CURSOR) == 1, "one cursor, please"
    offset = picture.index(CURSOR)
    return picture.replace(CURSOR, ""), offset


def document(text: str, language: str = "python", path: str = "src/app.py") -> DocumentSnapshot:
    return DocumentSnapshot(f"file:///work/{path}", path, language, text, 1)
