"""Documents follow an editor's edits."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lsprotocol import types

from inkling.lsp import documents
from inkling.lsp.documents import Documents, OpenDocument, shown_path
from inkling.lsp.line_index import Encoding
from tests.unit.lsp.test_line_index import encodings, lines_of, places, texts, width

URI = "file:///w/a.py"


def document(text: str, uri: str = URI) -> OpenDocument:
    return OpenDocument(uri, "python", 1, text)


def partial(
    start: tuple[int, int], end: tuple[int, int], text: str
) -> types.TextDocumentContentChangePartial:
    at = types.Range(start=types.Position(*start), end=types.Position(*end))
    return types.TextDocumentContentChangePartial(range=at, text=text)


@given(texts, encodings, st.data())
def test_incremental_changes_give_the_editors_text(
    text: str, encoding: Encoding, data: st.DataObject
) -> None:
    """The editor's side is a list of lines that knows nothing of offsets."""
    kept = document(text)
    for version in range(2, 2 + data.draw(st.integers(1, 5))):
        start, end = sorted(data.draw(st.tuples(*[st.sampled_from(places(text))] * 2)))
        new = data.draw(texts)
        lines = lines_of(text)
        characters = [width(lines[line][:column], encoding) for line, column in (start, end)]
        change = partial((start[0], characters[0]), (end[0], characters[1]), new)
        kept.edit([change], version, encoding)
        text = before(text, *start) + new + text[len(before(text, *end)) :]
        assert kept.text == text
        assert kept.version == version


def before(text: str, line: int, column: int) -> str:
    """What precedes a place: whole lines with their ends, then `column` characters."""
    rest, passed = text, ""
    for _ in range(line):
        content = lines_of(rest)[0]
        end = "\r\n" if rest[len(content) :].startswith("\r\n") else rest[len(content)]
        passed += content + end
        rest = text[len(passed) :]
    return passed + rest[:column]


def test_changes_of_one_message_build_on_each_other() -> None:
    kept = document("one\ntwo\n")
    changes = [partial((0, 0), (1, 0), ""), partial((0, 3), (0, 3), "!")]
    kept.edit(changes, 2, Encoding.UTF16)
    assert kept.text == "two!\n"


def test_a_change_without_a_range_is_the_whole_text() -> None:
    kept = document("one\ntwo")
    kept.edit([types.TextDocumentContentChangeWholeDocument(text="new\r\n")], 2, Encoding.UTF8)
    assert kept.text == "new\r\n"
    assert kept.offset_at(types.Position(1, 0), Encoding.UTF8) == 5


def test_ranges_outside_or_backwards_are_taken_for_the_nearest_right_one() -> None:
    kept = document("one\ntwo")
    kept.edit([partial((1, 99), (99, 0), "!")], 2, Encoding.UTF16)
    assert kept.text == "one\ntwo!"
    kept.edit([partial((1, 0), (0, 3), " ")], 3, Encoding.UTF16)
    assert kept.text == "one two!"


def test_half_characters_become_replacement_characters_as_wide() -> None:
    kept = document("a\ud83cb")
    assert kept.text == "a\ufffdb"
    kept.edit([partial((0, 1), (0, 2), "\udf89")], 2, Encoding.UTF16)
    assert kept.text == "a\ufffdb"
    kept.text.encode()


def test_a_document_too_large_to_keep_comes_back_with_its_whole_text(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(documents, "KEPT_CHARS", 10)
    assert document("x" * 11).text is None
    kept = document("x" * 10)
    assert kept.text == "x" * 10
    kept.edit([partial((0, 0), (0, 0), "y")], 2, Encoding.UTF16)
    assert kept.text is None
    kept.edit([partial((0, 0), (0, 5), "")], 3, Encoding.UTF16)
    assert kept.text is None, "its text is not known"
    kept.edit([types.TextDocumentContentChangeWholeDocument(text="small")], 4, Encoding.UTF16)
    assert kept.text == "small"
    assert kept.version == 4


def test_others_are_the_recently_used_first_without_the_empty_and_the_too_large() -> None:
    held = Documents()
    for name in "abcd":
        held.open(document(name, name))
    held.open(document("", "empty"))
    held.use("b")
    assert [other.uri for other in held.others("d", limit=2)] == ["b", "c"]
    held.close("b")
    held.close("never opened")
    assert held.use("b") is None
    assert [other.uri for other in held.others("d", limit=9)] == ["c", "a"]


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("file:///w/src/a.py", "src/a.py"),
        ("file:///w/lib/deep/b%20c.py", "deep/b c.py"),
        ("file:///elsewhere/x.py", "x.py"),
        ("untitled:Untitled-1", "Untitled-1"),
        ("git:/w/.env", ".env"),
    ],
)
def test_a_path_is_relative_to_the_innermost_workspace_folder(uri: str, path: str) -> None:
    assert shown_path(uri, [Path("/w"), Path("/w/lib")]) == path
