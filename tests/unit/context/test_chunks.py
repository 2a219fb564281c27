from inkling.context.chunks import MAX_CHUNK_LINES, rank_chunks
from tests.pictures import at_cursor, document

STORE = """\
class Warehouse:
    def __init__(self, capacity):
        self.capacity = capacity
        self.shelves = {}

    def put_on_shelf(self, item, shelf):
        self.shelves.setdefault(shelf, []).append(item)
"""
COLOURS = """\
PALETTE = {"red": (255, 0, 0), "green": (0, 255, 0)}

def blend(first, second):
    return tuple((a + b) // 2 for a, b in zip(first, second))
"""


def test_the_chunk_that_defines_the_names_at_the_cursor_comes_first() -> None:
    text, offset = at_cursor("house = Warehouse(10)\nhouse.put_on_‸\n")
    others = (document(COLOURS, path="colours.py"), document(STORE, path="store.py"))
    chunks = rank_chunks(text, offset, others)
    assert chunks[0].path == "store.py"
    assert "put_on_shelf" in chunks[0].text


def test_no_shared_name_no_chunk() -> None:
    text, offset = at_cursor("unrelated = 1\n‸")
    assert rank_chunks(text, offset, (document(COLOURS),)) == ()


def test_a_copy_of_the_text_at_the_cursor_is_left_out() -> None:
    text, offset = at_cursor(STORE + "‸")
    assert rank_chunks(text, offset, (document(STORE, path="copy.py"),)) == ()


def test_chunks_are_short_and_the_same_every_time() -> None:
    long = "\n".join(f"def shelf_{n}(capacity):\n    return Warehouse(capacity)" for n in range(99))
    text, offset = at_cursor("w = Warehouse(capacity=‸")
    first = rank_chunks(text, offset, (document(long),))
    assert first == rank_chunks(text, offset, (document(long),))
    assert all(chunk.text.count("\n") < MAX_CHUNK_LINES for chunk in first)
