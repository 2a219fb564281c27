"""Edits of a document, and whether they leave it in order. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from inkling.context.syntax import parse
from inkling.core import DocumentSnapshot
from inkling.postprocess.valid_syntax import num_faults


@dataclass(frozen=True)
class Edit:
    """`text` instead of what stands from `start` to `end` (code points)."""

    start: int
    end: int
    text: str


def edited(text: str, edits: Iterable[Edit]) -> str:
    """A text after its edits, which must not overlap."""
    for edit in sorted(edits, key=lambda it: it.start, reverse=True):
        text = text[: edit.start] + edit.text + text[edit.end :]
    return text


def with_line_ends_of(document: DocumentSnapshot, text: str) -> str:
    """A text with one kind of line end as the document has them."""
    return text.replace("\n", "\r\n") if "\r\n" in document.text else text


def breaks_nothing(document: DocumentSnapshot, edits: Iterable[Edit]) -> bool:
    """Whether the document has no more syntax errors after these edits than before."""
    after = edited(document.text, edits)
    return _num_faults(document.language, after) <= _num_faults(document.language, document.text)


def _num_faults(language: str, text: str) -> int:
    tree = parse(language, text)
    if tree is None:
        return 0
    # A line break that is missing is an error without a node that could be visited.
    return max(num_faults(tree.tree.root_node), int(tree.tree.root_node.has_error))
