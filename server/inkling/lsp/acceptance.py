"""What users do with completions: shown, accepted (`inkling.accepted`), kept.

An accepted text is followed through the edits after it; RETENTION_S later it is counted how much of
it is still there. Event loop only, but for writing the counts.
"""

import asyncio
import re
from collections import OrderedDict
from dataclasses import dataclass
from datetime import date

from inkling.core import Completion, DocumentSnapshot
from inkling.lsp.documents import Documents, Span
from inkling.statistics import Acceptance, Statistics

RETENTION_S = 30.0
# Completions that may still be accepted.
REMEMBERED = 64
# Counts are written at most this often.
WRITE_S = 2.0

_WORD = re.compile(r"\w+|\s+|[^\w\s]")


@dataclass(frozen=True)
class _Shown:
    """What an editor was told to show, and where (code points)."""

    uri: str
    language: str
    offset: int
    text: str


class Acceptances:
    """What was shown in one server's editor, and what became of it."""

    def __init__(self, documents: Documents, statistics: Statistics) -> None:
        self._documents = documents
        self._statistics = statistics
        self._shown: OrderedDict[str, _Shown] = OrderedDict()
        self._counts: dict[str, Acceptance] = {}
        self._writing: asyncio.Task[None] | None = None

    def show(self, completion: Completion, document: DocumentSnapshot) -> None:
        """An answer went to the editor. Each completion is counted once, however often it is asked
        for while its text is typed."""
        for each in (completion, *completion.alternatives):
            if not each.text:
                continue
            if each is completion and each.id not in self._shown:
                self._count(document.language).shown += 1
            self._shown[each.id] = _Shown(document.uri, document.language, each.offset, each.text)
            self._shown.move_to_end(each.id)
        while len(self._shown) > REMEMBERED:
            self._shown.popitem(last=False)

    def accept(self, completion_id: str, num_chars: int | None) -> None:
        """The user accepted a completion, or its first `num_chars` characters. Several parts of one
        count as one completion. An id that is not known is ignored."""
        shown = self._shown.get(completion_id)
        if shown is None:
            return
        is_whole = num_chars is None or num_chars >= len(shown.text)
        accepted = shown.text if is_whole else shown.text[:num_chars]
        self._count(shown.language).accepted += is_whole
        document = self._documents.use(shown.uri)
        if document is None or document.text is None:
            return
        inserted = accepted.replace("\n", "\r\n") if "\r\n" in document.text else accepted
        if document.text.startswith(inserted, shown.offset):
            span = document.follow(shown.offset, shown.offset + len(inserted))
            asyncio.get_running_loop().call_later(RETENTION_S, self._check, shown, inserted, span)

    def _check(self, shown: _Shown, inserted: str, span: Span) -> None:
        """Count what is left of an accepted text."""
        document = self._documents.get(shown.uri)
        if document is None or document.text is None or not document.forget(span):
            return
        counts = self._count(shown.language)
        counts.checked += len(inserted)
        counts.kept += num_kept(inserted, document.text[span.start : span.end])

    async def aclose(self) -> None:
        """Write what is counted."""
        if self._writing is not None:
            self._writing.cancel()
        await self._write()

    def _count(self, language: str) -> Acceptance:
        """Today's counts of a language, which will be written soon."""
        counts = self._counts.setdefault(language, Acceptance())
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_soon())
        return counts

    async def _write_soon(self) -> None:
        while self._counts:  # more may have come while the last were written
            await asyncio.sleep(WRITE_S)
            await self._write()

    async def _write(self) -> None:
        counts, self._counts = self._counts, {}
        if counts:
            await asyncio.to_thread(self._statistics.add, date.today(), counts)


def num_kept(accepted: str, now: str) -> int:
    """How many characters of an accepted text are in what stands in its place now, word by word."""
    import difflib  # not before the server has started

    old, new = _WORD.findall(accepted), _WORD.findall(now)
    blocks = difflib.SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks()
    return sum(len(word) for block in blocks for word in old[block.a : block.a + block.size])
