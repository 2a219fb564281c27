"""The documents the editor has open, as it last told us: the only truth about their text."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from lsprotocol import types
from pygls.uris import to_fs_path

from inkling.core import Chunk, DocumentSnapshot
from inkling.lsp.line_index import Encoding, LineIndex
from inkling.lsp.recent_edits import RecentEdits

# A document of more characters is known by name only: no text is held and edits to it cost nothing.
# It comes back once the editor sends the whole text again.
KEPT_CHARS = 8 * 1024 * 1024

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(eq=False)
class Span:
    """A piece of a document (code points), which moves with the edits before it and grows and shrinks
    with those in it."""

    start: int
    end: int


class OpenDocument:
    """One open document, edited in place. `text` is None while it is too large to keep."""

    def __init__(self, uri: str, language: str, version: int, text: str) -> None:
        self.uri = uri
        self.language = language
        self.version = version
        self.text: str | None = None
        self._index = LineIndex("")
        self._edits = RecentEdits()
        self._spans: list[Span] = []
        self._replace_all(text)

    def edit(
        self,
        changes: Iterable[types.TextDocumentContentChangeEvent],
        version: int,
        encoding: Encoding,
    ) -> None:
        """Apply changes in order; each one's range is meant in the text the former ones left."""
        for change in changes:
            if isinstance(change, types.TextDocumentContentChangeWholeDocument):
                self._replace_all(change.text)
            elif self.text is not None:
                self._replace(self.text, change.range, change.text, encoding)
        self.version = version

    def offset_at(self, position: types.Position, encoding: Encoding) -> int:
        """Code-point offset of a position; positions outside the text are moved inside."""
        return self._index.offset_at(self.text or "", position.line, position.character, encoding)

    def position_at(self, offset: int, encoding: Encoding) -> types.Position:
        """The editor's position of a code-point offset."""
        return types.Position(*self._index.position_at(self.text or "", offset, encoding))

    def snapshot(self, roots: Sequence[Path]) -> DocumentSnapshot:
        """The document as it is now; `roots` are the workspace folders."""
        path = shown_path(self.uri, roots)
        return DocumentSnapshot(self.uri, path, self.language, self.text or "", self.version)

    def recent_edits(self, roots: Sequence[Path]) -> tuple[Chunk, ...]:
        """The code around the places that were edited last, the newest first."""
        return self._edits.chunks(shown_path(self.uri, roots), self.text or "")

    def follow(self, start: int, end: int) -> Span:
        """Keep track of a piece of the text until it is forgotten, or the whole text is replaced."""
        span = Span(start, end)
        self._spans.append(span)
        return span

    def forget(self, span: Span) -> bool:
        """Follow a piece no more. False if it was not followed to now."""
        if span not in self._spans:
            return False
        self._spans.remove(span)
        return True

    def _replace(self, text: str, at: types.Range, new: str, encoding: Encoding) -> None:
        start, end = sorted((self.offset_at(at.start, encoding), self.offset_at(at.end, encoding)))
        new = without_lone_surrogates(new)
        if len(text) - (end - start) + len(new) > KEPT_CHARS:
            self._forget_text()
            return
        lines = sorted((at.start.line, at.end.line))
        self._edits.note(lines[0], lines[1] - lines[0], new.count("\n"))
        self.text = text[:start] + new + text[end:]
        self._index.edit(self.text, start, end, len(new))
        for span in self._spans:
            _move(span, start, end, len(new))

    def _replace_all(self, text: str) -> None:
        self._edits.forget()
        self._spans.clear()
        if len(text) > KEPT_CHARS:
            self._forget_text()
            return
        self.text = without_lone_surrogates(text)
        self._index = LineIndex(self.text)

    def _forget_text(self) -> None:
        self.text = None
        self._index = LineIndex("")


class Documents:
    """All open documents by URI, the most recently used last."""

    def __init__(self) -> None:
        self._open: dict[str, OpenDocument] = {}

    def open(self, document: OpenDocument) -> None:
        """Add a document, or replace the one that was open under its URI."""
        self._open.pop(document.uri, None)
        self._open[document.uri] = document

    def close(self, uri: str) -> None:
        """Forget a document. One that is not open is ignored."""
        self._open.pop(uri, None)

    def use(self, uri: str) -> OpenDocument | None:
        """The document, which thereby becomes the most recently used; None if it is not open."""
        document = self._open.pop(uri, None)
        if document is not None:
            self._open[uri] = document
        return document

    def get(self, uri: str) -> OpenDocument | None:
        """The document, None if it is not open."""
        return self._open.get(uri)

    def others(self, uri: str, limit: int) -> list[OpenDocument]:
        """Up to `limit` other documents that have text, the most recently used first."""
        found = [d for d in reversed(self._open.values()) if d.uri != uri and d.text]
        return found[:limit]


def _move(span: Span, start: int, end: int, num_new: int) -> None:
    """Follow the replacement of start:end by `num_new` characters. What is typed at an edge of the
    span is outside of it."""
    grown = num_new - (end - start)
    if end <= span.start:
        span.start += grown
        span.end += grown
    elif start < span.end:
        span.end = span.end + grown if end <= span.end else start
        span.start = min(span.start, start)
        span.end = max(span.start, span.end)


def shown_path(uri: str, roots: Sequence[Path]) -> str:
    """What a prompt calls a document: its path in its workspace folder, else its name."""
    file = to_fs_path(uri)
    if file is None:
        return uri.rsplit("/", 1)[-1].rsplit(":", 1)[-1]
    path = PurePath(file)
    inside = [path.relative_to(root) for root in roots if path.is_relative_to(root)]
    return min(inside, key=lambda relative: len(relative.parts)).as_posix() if inside else path.name


def without_lone_surrogates(text: str) -> str:
    """JSON can spell half a character, which no encoding can: show it as U+FFFD (as wide)."""
    return text if text.isascii() else _LONE_SURROGATE.sub("\ufffd", text)
