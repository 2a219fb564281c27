"""The imports that a new function needs and the document lacks. Reads files: call it in a thread."""

from collections.abc import Iterable

from tree_sitter import Node

from inkling.context.languages import LANGUAGES
from inkling.context.neighbours import path_of
from inkling.context.syntax import SyntaxTree, parse
from inkling.core import DocumentSnapshot
from inkling.function import ecmascript_imports, python_imports
from inkling.function.edit import Edit, edited
from inkling.function.place import FunctionPlace
from inkling.workspace.workspace import Workspace

_IMPORTS = frozenset({"import_statement", "import_from_statement", "future_import_statement"})


def import_edits(
    document: DocumentSnapshot, place: FunctionPlace, edit: Edit, workspace: Workspace | None
) -> tuple[Edit, ...]:
    """What to insert for the names in the function, which `edit` writes, that the document does not
    know: one insertion below its last import, or none. Python, JavaScript and TypeScript; a name
    that cannot be told for sure is left alone."""
    file = path_of(document.uri)
    family = LANGUAGES[document.language].family if document.language in LANGUAGES else ""
    tree = parse(document.language, document.text)
    if file is None or tree is None or workspace is None:
        return ()
    after = edited(document.text, [edit])
    margin = after[after.rfind("\n", 0, place.begin) + 1 : place.begin]
    function = margin + after[place.begin : edit.start + len(edit.text)]
    statements: dict[str, str] = {}
    if family == "python":
        used = python_imports.missing_names(after, function)
        statements = python_imports.statements(used, document, tree, file, workspace)
    elif family == "javascript":
        names = ecmascript_imports.missing_names(tree, document.language, function)
        statements = ecmascript_imports.statements(names, tree, file, workspace)
    return _inserted(tree, document.text, sorted(set(statements.values()), key=_plain_first))


def _plain_first(statement: str) -> tuple[bool, str]:
    """Python's order: `import x` above `from x import y`."""
    return statement.startswith("from "), statement


def _inserted(tree: SyntaxTree, text: str, lines: Iterable[str]) -> tuple[Edit, ...]:
    block = "\n".join(lines)
    if not block:
        return ()
    children = tree.tree.root_node.children
    imports = [node for node in children if node.type in _IMPORTS]
    if imports:
        at = _end_of_line(tree, text, imports[-1])
        return (Edit(at, at, f"\n{block}"),)
    leading = [node for node in children[:2] if _leads(node)]
    if leading:
        at = _end_of_line(tree, text, leading[-1])
        return (Edit(at, at, f"\n\n{block}"),)
    return (Edit(0, 0, f"{block}\n\n\n"),)


def _leads(node: Node) -> bool:
    """Whether it stands above a file's imports: `#!`, "use strict", a module's docstring."""
    if "comment" in node.type or node.type == "hash_bang_line":
        return (node.text or b"").startswith(b"#!")
    return node.type == "expression_statement" and [it.type for it in node.named_children] == [
        "string"
    ]


def _end_of_line(tree: SyntaxTree, text: str, node: Node) -> int:
    """Where the line that a node ends on ends, before its line break."""
    offset = len(tree.source[: node.end_byte].decode("utf-8", errors="surrogatepass"))
    line_end = text.find("\n", offset)
    line_end = len(text) if line_end < 0 else line_end
    return line_end - text[:line_end].endswith("\r")
