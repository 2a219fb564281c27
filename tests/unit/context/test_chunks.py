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


def chunk_of(text: str, path: str, language: str, word: str) -> str:
    """The text of the best chunk of a file for a cursor behind `word`."""
    here, offset = at_cursor(f"{word} ‸")
    return rank_chunks(here, offset, (document(text, language, path),))[0].text


def java_class(num_methods: int) -> str:
    methods = "\n".join(
        f"    /** Number {n}. */\n    int method{n}(int first, int second) {{\n"
        f"        return first + second;\n    }}\n"
        for n in range(num_methods)
    )
    return f"class Numbers extends Base {{\n{methods}}}\n"


def test_a_chunk_inside_a_class_begins_with_its_header_and_a_whole_method() -> None:
    chunk = chunk_of(java_class(20), "Numbers.java", "java", "method17")
    lines = chunk.split("\n")
    assert lines[0] == "class Numbers extends Base"
    assert lines[1].startswith("    /** Number ")
    assert len(lines) <= MAX_CHUNK_LINES


def test_a_comment_stays_with_the_function_below_it() -> None:
    first = "\n".join(f"first_{n} = {n}" for n in range(4))
    text = f"def one():\n    {first.replace(chr(10), chr(10) + '    ')}\n    return 1\n\n"
    text += "# What two does.\ndef two():\n    second = 2\n    return second\n"
    assert chunk_of(text, "a.py", "python", "two").startswith("# What two does.\ndef two():")


def test_the_end_of_a_ruby_method_begins_no_chunk() -> None:
    body = "\n".join(f"  first_{n} = {n}" for n in range(6))
    text = f"def one\n{body}\nend\n\ndef two\n  second = 2\n  third = 3\nend\n"
    assert chunk_of(text, "a.rb", "ruby", "two").startswith("def two\n")
    assert chunk_of(text, "a.rb", "ruby", "one").endswith("\nend")


def test_a_language_without_a_grammar_is_split_by_its_lines() -> None:
    body = "\n".join(f"  local first_{n} = {n}" for n in range(6))
    text = f"function one()\n{body}\nend\nfunction two()\n  local second = third\nend\n"
    assert "function two()" in chunk_of(text, "a.lua", "lua", "two")
