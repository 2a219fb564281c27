"""Holes: places of a file whose text is taken out, to see what is written there instead.

    line        the rest of a line of code, from the start of one of its tokens
    statement   one simple statement, from its indentation to its end
    block       what a header line opens (`‸` is where the hole is: `for x in xs:‸`)
    function    the body of a function that a docstring or a comment describes, which stays;
                behind a docstring the cursor is on the next line
    arguments   what stands between a call's brackets
    import      the rest of an import of one line behind its first word

Node types are those of the Python grammar where Python has its own way (a docstring stands in the
body), and else by what grammars share: fields named `body`, types that end in `_statement`.
"""

import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from tree_sitter import Node

from inkling.context.syntax import SyntaxTree, parse
from inkling.evaluation.sources import NothingToEvaluate, Source

# Longer true text (characters) would measure how long a completion may be.
MAX_TRUTH = 600
MIN_BEFORE = 3  # characters that are not blank left of a rest-of-line hole

_STATEMENTS = ("_statement", "_declaration", "assignment")
_IMPORTS = re.compile(
    r"import_(from_)?(statement|declaration)|use_declaration|using_directive|preproc_include"
    r"|namespace_use_declaration"
)
_FUNCTIONS = re.compile(r"function|method|constructor")
_ARGUMENTS = frozenset({"argument_list", "arguments"})
_BODIES = ("body", "consequence")
# What may stand between a comment and the function it describes.
_WRAPPERS = frozenset({"decorated_definition", "export_statement"})

# Where nothing stands to the right, what closes the brackets is to be written as well.
_BRACKETED = frozenset({"block", "function", "arguments"})
_CLOSER = re.compile(r"\s*[)}]")

# Bytes of the source, from and to.
Span = tuple[int, int]


@dataclass(frozen=True)
class Hole:
    """`text[start:end]` of a source, in code points. Without `has_suffix` the file ends there."""

    kind: str
    source: Source
    start: int
    end: int
    has_suffix: bool

    @property
    def truth(self) -> str:
        return self.source.text[self.start : self.end]

    @property
    def prefix(self) -> str:
        return self.source.text[: self.start]

    @property
    def suffix(self) -> str:
        return self.source.text[self.end :] if self.has_suffix else ""

    @property
    def document(self) -> str:
        """The file as an editor has it: the cursor stands at `start`."""
        return self.prefix + self.suffix

    @property
    def line(self) -> int:
        """Counted from 1."""
        return self.source.text.count("\n", 0, self.start) + 1


def make_holes(
    sources: Sequence[Source], num_holes: int, kinds: Sequence[str], seed: int
) -> list[Hole]:
    """Up to `num_holes` holes, the same for the same seed: kinds in turn, each spread over the files.

    Of each kind every second hole has no text to its right. Raises NothingToEvaluate.
    """
    spans_of = cache(spans_in)
    drawing = [draw_holes(sources, kind, seed, spans_of) for kind in kinds]
    holes: list[Hole] = []
    while drawing and len(holes) < num_holes:
        for drawn in tuple(drawing):
            hole = next(drawn, None)
            if hole is None:
                drawing.remove(drawn)
            else:
                holes.append(hole)
    if not holes:
        raise NothingToEvaluate(
            f"no place for a hole ({', '.join(kinds)}) in {len(sources)} files."
        )
    return holes[:num_holes]


def draw_holes(
    sources: Sequence[Source],
    kind: str,
    seed: int,
    spans_of: Callable[[Source], dict[str, list[Span]]],
) -> Iterator[Hole]:
    """Holes of one kind: one of each file, then another one of each, as long as there are any."""
    rng = random.Random(f"{seed} {kind}")
    order = rng.sample(sources, len(sources))
    left: dict[Source, list[Span]] = {}
    number = 0
    while order:
        for source in tuple(order):
            if source not in left:
                spans = spans_of(source)[kind]
                left[source] = rng.sample(spans, len(spans))
            if not left[source]:
                order.remove(source)
                continue
            yield _hole(source, kind, left[source].pop(), has_suffix=number % 2 == 0)
            number += 1


def _hole(source: Source, kind: str, span: Span, *, has_suffix: bool) -> Hole:
    data = source.text.encode()
    start, end = (len(data[:offset].decode()) for offset in span)
    closer = _CLOSER.match(source.text, end) if kind in _BRACKETED and not has_suffix else None
    if closer is not None:
        end = closer.end()
    return Hole(kind, source, start, end, has_suffix)


def spans_in(source: Source) -> dict[str, list[Span]]:
    """All places for holes in a file, by kind."""
    tree = parse(source.language, source.text)
    return _Places(tree).found if tree is not None else defaultdict(list)


class _Places:
    """One walk over a tree, and what it found."""

    def __init__(self, tree: SyntaxTree) -> None:
        self.found: dict[str, list[Span]] = defaultdict(list)
        self._source = tree.source
        self._texts = tree.language.texts
        self._prose_rows: set[int] = set()  # with a comment, or inside a string of several lines
        self._tokens: list[Node] = []
        self._visit(tree.tree.root_node)
        for token in self._tokens:
            self._add_line(token)

    def _visit(self, root: Node) -> None:
        nodes = [root]
        while nodes:
            node = nodes.pop()
            if node.type in self._texts:
                rows = range(node.start_point.row, node.end_point.row + 1)
                if "comment" in node.type or len(rows) > 1:
                    self._prose_rows.update(rows)
                continue
            if not node.child_count:
                self._tokens.append(node)
                continue
            self._add_syntax(node)
            nodes.extend(reversed(node.children))

    def _add_syntax(self, node: Node) -> None:
        body = next(filter(None, map(node.child_by_field_name, _BODIES)), None)
        if body is not None:
            self._add_body(node, body)
        elif _IMPORTS.fullmatch(node.type):
            self._add_import(node)
        elif node.type in _ARGUMENTS:
            self._add_arguments(node)
        elif node.is_named and node.type.endswith(_STATEMENTS):
            self._add_statement(node)

    def _add_line(self, token: Node) -> None:
        start, row = token.start_byte, token.start_point.row
        line_start = self._source.rfind(b"\n", 0, start) + 1
        before = b"".join(self._source[line_start:start].split())
        if row not in self._prose_rows and len(before) >= MIN_BEFORE:
            self._add("line", start, self._line_end(start))

    def _add_statement(self, node: Node) -> None:
        start, end = node.start_byte, node.end_byte
        line_start = self._source.rfind(b"\n", 0, start) + 1
        rest = self._source[end : self._line_end(end)]
        is_alone = not self._source[line_start:start].strip() and not rest.strip(b"; \t")
        is_docstring = node.named_child_count == 1 and node.named_children[0].type in self._texts
        if is_alone and not is_docstring:
            self._add("statement", start, end)

    def _add_body(self, node: Node, body: Node) -> None:
        docstring = self._docstring(body)
        is_function = _FUNCTIONS.search(node.type) is not None
        if docstring is not None:
            if is_function and body.named_child_count > 1:
                # Where an editor puts the cursor after Enter: on the next line, indented.
                self._add("function", body.named_children[1].start_byte, body.end_byte)
            return
        start, end = self._inside(body)
        if not self._source[start:end].lstrip(b" \t").startswith(b"\n"):
            return  # beside its header
        if is_function and self._is_described(node):
            self._add("function", start, end)
        else:
            self._add("block", start, end)

    def _docstring(self, body: Node) -> Node | None:
        first = body.named_children[0] if body.named_child_count else None
        is_text = first is not None and first.named_child_count == 1
        if first is None or not is_text or first.named_children[0].type not in self._texts:
            return None
        return first if first.type == "expression_statement" else None

    def _inside(self, body: Node) -> Span:
        """From the end of the header, or behind the opening brace, to what closes the body."""
        source, start, end = self._source, body.start_byte, body.end_byte
        if source[start : start + 1] == b"{" and source[end - 1 : end] == b"}":
            return start + 1, end - 1
        header = body.prev_sibling
        return (header.end_byte if header is not None else start), end

    def _is_described(self, function: Node) -> bool:
        """Whether a comment ends on the line above."""
        node, parent = function, function.parent
        while parent is not None and parent.type in _WRAPPERS:
            node, parent = parent, parent.parent
        above = node.prev_sibling
        if above is None or "comment" not in above.type:
            return False
        # Rust's doc comments reach over their line break.
        reach = above.end_point.row - (above.end_point.column == 0)
        return reach == node.start_point.row - 1

    def _add_arguments(self, node: Node) -> None:
        start, end = node.start_byte, node.end_byte
        is_call = node.parent is not None and node.parent.type != "class_definition"
        is_bracketed = (
            self._source[start : start + 1] == b"(" and self._source[end - 1 : end] == b")"
        )
        if is_call and is_bracketed and node.start_point.row == node.end_point.row:
            self._add("arguments", start + 1, end - 1)

    def _add_import(self, node: Node) -> None:
        word = self._source.find(b" ", node.start_byte, node.end_byte)
        is_one_line = b"\n" not in self._source[node.start_byte : node.end_byte].rstrip()
        if word >= 0 and is_one_line:
            self._add("import", word + 1, self._line_end(node.start_byte))

    def _line_end(self, offset: int) -> int:
        end = self._source.find(b"\n", offset)
        return end if end >= 0 else len(self._source)

    def _add(self, kind: str, start: int, end: int) -> None:
        """Note a place, if it has anything to guess. What is blank at its end stays in the file."""
        truth = self._source[start:end].decode(errors="replace").rstrip()
        span = start, start + len(truth.encode())
        if len(truth) > MAX_TRUTH or not any(char.isalnum() for char in truth):
            return
        if self.found[kind][-1:] != [span]:  # an assignment is a statement's only child
            self.found[kind].append(span)
