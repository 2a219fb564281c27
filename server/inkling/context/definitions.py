"""What a file defines and imports, by the queries in `queries/`. Pure; lines count from 0.

A query captures a definition as `@definition.<kind>` with its `@name` and, where there is one, its
`@body`; and what an import names, a module or a file, as `@import`. Captures that begin with `_`
only serve predicates.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tree_sitter import Node, QueryCursor

from inkling.context.languages import load_query
from inkling.context.syntax import SyntaxTree


@dataclass(frozen=True)
class Definition:
    """A named thing of a file, on `first_line` to `last_line`.

    `kind` is "function", "method", "class", "interface", "enum", "module", "type", "variable",
    "constant" or "macro". `signature` is its header up to the body, indented as in the file; of
    what has no body, its first line.
    """

    name: str
    kind: str
    first_line: int
    last_line: int
    signature: str


def definitions(tree: SyntaxTree) -> tuple[Definition, ...]:
    """The definitions of a file, in its order; broken code has those that can be made out."""
    query = load_query(tree.language)
    if query is None:
        return ()
    found: dict[int, Definition] = {}  # by where its name stands
    for _, captures in QueryCursor(query).matches(tree.tree.root_node):
        for capture in captures:
            if capture.startswith("definition."):
                found.setdefault(
                    captures["name"][0].start_byte, _definition(tree.source, capture, captures)
                )
    return tuple(sorted(found.values(), key=lambda it: (it.first_line, -it.last_line)))


def enclosing(found: Sequence[Definition], line: int) -> tuple[Definition, ...]:
    """The definitions that began above `line` and end on it or below, outermost first."""
    return tuple(it for it in found if it.first_line < line <= it.last_line)


def imports(tree: SyntaxTree) -> tuple[str, ...]:
    """What the file imports, as written there without quotation marks, in its order."""
    query = load_query(tree.language)
    if query is None:
        return ()
    captures = QueryCursor(query).captures(tree.tree.root_node)
    nodes = sorted(captures.get("import", ()), key=lambda node: node.start_byte)
    return tuple(dict.fromkeys(_text(tree.source, node).strip("\"'<>") for node in nodes))


def _definition(source: bytes, capture: str, captures: dict[str, list[Node]]) -> Definition:
    node = captures[capture][0]
    line_start = source.rfind(b"\n", 0, node.start_byte) + 1
    end = node.end_byte
    if bodies := captures.get("body"):
        end = bodies[0].start_byte
    elif (line_end := source.find(b"\n", node.start_byte, end)) >= 0:
        end = line_end
    # A C macro's node reaches over its line break.
    is_over = node.end_point.column == 0 and node.end_point.row > node.start_point.row
    last_line = node.end_point.row - is_over
    return Definition(
        name=_text(source, captures["name"][0]),
        kind=capture.removeprefix("definition."),
        first_line=node.start_point.row,
        last_line=last_line,
        signature=source[line_start:end].decode("utf-8", errors="replace").rstrip(),
    )


def _text(source: bytes, node: Node) -> str:
    return source[node.start_byte : node.end_byte].decode("utf-8", errors="replace")
