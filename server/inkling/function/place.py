"""Where a document describes a function that it does not have yet. Pure syntax, no model.

# total price of an order        a comment with nothing below that belongs to it
‸

def total(order):                a signature whose body is empty or a placeholder
    ...
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tree_sitter import Node

from inkling.context.scope import indent_of
from inkling.context.syntax import SyntaxTree

# A cursor this many lines below a signature or docstring is still at it.
REACH_LINES = 2
# Node types of functions; their bodies are the field `body`.
_FUNCTION = re.compile(r"function|method|constructor|^func_literal$")
_BODY = re.compile(r"block|body|compound_statement")
_PLACEHOLDER = re.compile(
    r"pass|\.\.\.|raise NotImplementedError(\(.*\))?"
    r"|(throw new \w+|panic)\(.*implement.*\);?|(todo|unimplemented)!\(.*\);?",
    re.IGNORECASE | re.DOTALL,
)
_TO_DO = re.compile(r"\b(TODO|FIXME)\b")
_WORD = re.compile(r"[^\W\d_]{2,}")
# Comments for tools and lawyers.
_NO_DESCRIPTION = re.compile(
    r"!|-\*-|type:|noqa|eslint|prettier|pragma|pylint|mypy|ruff|@ts-|#?(end)?region|copyright|"
    r"spdx|license",
    re.IGNORECASE,
)
_COMMENT_MARKS = "#/*!-<>; \t\r\n"
_UNITS = {"python": 4, "javascript": 2, "ruby": 2, "bash": 2, "go": 0}


@dataclass(frozen=True)
class FunctionPlace:
    """A function to be written: `lead`, what the model writes and `tail` replace `start` to `end`
    of the document (code points). `whole_start` is where the function's own text begins: at its
    signature, or where `lead` ends (None). `indent` is that of the model's first line, `description`
    are the words about it."""

    description: str
    start: int
    end: int
    lead: str
    tail: str
    indent: str
    whole_start: int | None

    @property
    def begin(self) -> int:
        """Where the function begins in the document that has it."""
        return self.start + len(self.lead) if self.whole_start is None else self.whole_start

    def around(self, text: str) -> tuple[str, str]:
        """What will stand before and behind the model's words."""
        return text[: self.start] + self.lead, self.tail + text[self.end :]


def function_place(tree: SyntaxTree | None, text: str, offset: int) -> FunctionPlace | None:
    """The function described at the cursor, None if there is none. `tree` is `text`, parsed;
    without one, nothing is known."""
    if tree is None:
        return None
    lines = _Lines(tree, text, offset)
    row = lines.row
    return _below_comment(lines, row) or _without_body(lines, row, offset)


class _Lines:
    """A document by lines and by nodes. What is near the cursor is found quickly in a long one."""

    def __init__(self, tree: SyntaxTree, text: str, offset: int) -> None:
        self.tree = tree
        self.text = text
        self.lines = text.split("\n")
        self.row = text.count("\n", 0, offset)  # the cursor's
        self._start = text.rfind("\n", 0, offset) + 1
        self._num_bytes = tree.num_bytes(text, self._start)

    def row_of(self, offset: int) -> int:
        if offset < self._start:
            return self.row - self.text.count("\n", offset, self._start)
        return self.row + self.text.count("\n", self._start, offset)

    def start_of(self, row: int) -> int:
        if row < self.row:
            return self._start - sum(len(line) + 1 for line in self.lines[row : self.row])
        return self._start + sum(len(line) + 1 for line in self.lines[self.row : row])

    def end_of(self, row: int) -> int:
        """Where what stands on a line ends, before its line break."""
        return self.start_of(row) + len(self.lines[row].removesuffix("\r"))

    def indent(self, row: int) -> str:
        line = self.lines[row]
        return line[: indent_of(line)]

    def is_blank(self, row: int) -> bool:
        """Whether nothing stands on a line; beyond the end nothing does."""
        return not 0 <= row < len(self.lines) or not self.lines[row].strip()

    def node_at(self, offset: int) -> Node | None:
        """The smallest node around the character at an offset."""
        end = offset + 1
        low, high = sorted((end, self._start))
        between = len(self.text[low:high].encode("utf-8", errors="surrogatepass"))
        return self.tree.node_at(self._num_bytes + (between if end > self._start else -between))

    def offset(self, num_bytes: int) -> int:
        low, high = sorted((num_bytes, self._num_bytes))
        between = len(self.tree.source[low:high].decode("utf-8", errors="surrogatepass"))
        return self._start + (between if num_bytes > self._num_bytes else -between)

    def comment_on(self, row: int) -> Node | None:
        """The comment that a line is all of, or part of."""
        line = self.lines[row] if 0 <= row < len(self.lines) else ""
        if not line.strip():
            return None
        start = self.start_of(row)
        first = _comment_around(self.node_at(start + indent_of(line)))
        last = _comment_around(self.node_at(start + len(line.rstrip()) - 1))
        return first if last is not None else None

    def unit(self) -> str:
        """What one level is indented by."""
        runs = {self.indent(row) for row in range(min(len(self.lines), 1000))}
        if any(run.startswith("\t") for run in runs):
            return "\t"
        widths = [len(run) for run in runs if len(run) > 1]
        return " " * (min(widths) if widths else _UNITS.get(self.tree.language.family, 4)) or "\t"


def _below_comment(lines: _Lines, row: int) -> FunctionPlace | None:
    is_below = lines.is_blank(row)
    last = row - 1 if is_below else row
    node = lines.comment_on(last)
    if node is None or _is_in_function(lines, node, last):
        return None
    while not is_below and lines.comment_on(last + 1) is not None:
        last += 1
    first = last
    while lines.comment_on(first - 1) is not None:
        first -= 1
    comment = [line.strip(_COMMENT_MARKS) for line in lines.lines[first : last + 1]]
    described = " ".join(filter(None, comment))
    starts_for_tool = _NO_DESCRIPTION.match(lines.lines[first].strip().lstrip("#/* ") or "")
    if starts_for_tool or len(_WORD.findall(described)) < 2:
        return None
    indent = lines.indent(first)
    if is_below:
        start = lines.start_of(row)
        return FunctionPlace(described, start, lines.end_of(row), indent, "", indent, None)
    if not lines.is_blank(last + 1) and indent_of(lines.lines[last + 1]) >= len(indent):
        return None  # the comment is about the line below it
    end = lines.end_of(last)
    return FunctionPlace(described, end, end, f"\n{indent}", "", indent, None)


def _is_in_function(lines: _Lines, comment: Node, row: int) -> bool:
    """Whether a comment stands inside a function, where it asks for statements."""
    if any(_FUNCTION.search(node.type) for node in _ancestors(comment)):
        return True
    if lines.tree.language.family != "python":
        return False
    width = indent_of(
        lines.lines[row]
    )  # a comment below the last statement is outside for the tree
    above = (line for line in reversed(lines.lines[:row]) if line.strip())
    outer = next((line for line in above if width and indent_of(line) < width), "")
    return outer.lstrip().startswith(("def ", "async def "))


def _without_body(lines: _Lines, row: int, offset: int) -> FunctionPlace | None:
    at = row
    while at > 0 and row - at < REACH_LINES and lines.is_blank(at):
        at -= 1
    line = lines.lines[at].rstrip().rstrip(";,)")
    if not line.strip():
        return None
    start = lines.start_of(at)
    for probe in (offset - 1, start + len(line) - 1, start + indent_of(line)):
        for node in _ancestors(lines.node_at(probe)) if probe >= start else ():
            if _FUNCTION.search(node.type) and (body := node.child_by_field_name("body")):
                return _in_body(lines, node, body, offset)
    return None


def _in_body(lines: _Lines, node: Node, body: Node, offset: int) -> FunctionPlace | None:
    """The place inside a function's body, None if there is more in it than a placeholder."""
    if not _BODY.search(body.type) or body.prev_sibling is None:
        return None
    is_braced = lines.tree.source[body.start_byte : body.start_byte + 1] == b"{"
    if is_braced and (not body.children or body.children[-1].is_missing):
        return None
    above = body.prev_sibling
    while not is_braced and _is_to_do(above) and above.prev_sibling is not None:
        above = above.prev_sibling
    kept = body.start_byte + 1 if is_braced else above.end_byte
    children = list(body.named_children)
    while children and _is_description(children[0]):
        kept = children.pop(0).end_byte
    if not all(_is_placeholder(child) for child in children):
        return None
    header_row = node.start_point.row
    indent, unit = lines.indent(header_row), lines.unit()
    start = lines.offset(kept)
    end = lines.offset(body.end_byte - 1 if is_braced else max(kept, body.end_byte))
    if not is_braced and start <= offset and not lines.text[end : max(end, offset)].strip():
        row = lines.row_of(max(end, offset))
        end = max(end, lines.end_of(row) if lines.is_blank(row) else end)
    deeper = indent + unit
    if not is_braced and body.named_children and body.start_point.row > header_row:
        deeper = lines.indent(body.start_point.row)
    return FunctionPlace(
        description=lines.text[lines.offset(node.start_byte) : lines.offset(body.end_byte)],
        start=start,
        end=end,
        lead=f"\n{deeper}",
        tail=f"\n{indent}" if is_braced else "",
        indent=deeper,
        whole_start=lines.start_of(header_row) + len(indent),
    )


def _is_description(node: Node) -> bool:
    """Whether a body's child says what the function does: a docstring, or a comment to be kept."""
    if "comment" in node.type:
        return not _is_to_do(node)
    return node.type == "expression_statement" and [it.type for it in node.children] == ["string"]


def _is_to_do(node: Node) -> bool:
    return "comment" in node.type and bool(_TO_DO.search(_text(node)))


def _is_placeholder(node: Node) -> bool:
    return "comment" in node.type or bool(_PLACEHOLDER.fullmatch(_text(node).strip()))


def _text(node: Node) -> str:
    return (node.text or b"").decode("utf-8", errors="replace")


def _comment_around(node: Node | None) -> Node | None:
    return next((it for it in _ancestors(node) if "comment" in it.type), None)


def _ancestors(node: Node | None) -> Iterator[Node]:
    """A node and what it is part of, inside out."""
    while node is not None:
        yield node
        node = node.parent
