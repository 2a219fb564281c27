"""JavaScript and TypeScript: names a function uses that its document never mentions, and the exports
of the workspace that give them."""

import os
import re
from collections.abc import Iterable
from pathlib import Path

from inkling.context.neighbours import read_source
from inkling.context.syntax import SyntaxTree, parse
from inkling.workspace.modules import captured, text_of
from inkling.workspace.workspace import Workspace

_NAMES = "[(identifier) (shorthand_property_identifier)] @name"
_TYPES = "(type_identifier) @name"
_MODULES = "(import_statement source: (string) @source)"
_ENDING = re.compile(r"(\.d)?\.[cm]?[jt]sx?$")


def missing_names(tree: SyntaxTree, language: str, function: str) -> list[str]:
    """Names in the function that stand nowhere else in the document, parsed as `tree`: what is local
    to the function is among them."""
    whole = parse(language, function)
    return sorted(_names(whole) - _names(tree)) if whole is not None else []


def statements(
    names: Iterable[str], tree: SyntaxTree, file: Path, workspace: Workspace
) -> dict[str, str]:
    """An import for each name that one file of the workspace defines and exports, in the document's
    style: its quotation marks, its semicolons, its endings of modules."""
    found: dict[str, str] = {}
    for name in names:
        symbols = workspace.index.symbols([name], "javascript")
        paths = {it.path for it in symbols if it.kind != "method"}
        if len(paths) != 1:
            continue
        target = workspace.root / paths.pop()
        source = read_source(target, workspace.root) if _ENDING.search(target.name) else None
        if source is not None and target != file and _exports(name, source.text):
            found[name] = _statement(name, target, tree, file)
    return found


def _names(tree: SyntaxTree) -> set[str]:
    queries = (_NAMES, _TYPES) if tree.language.grammar != "tree_sitter_javascript" else (_NAMES,)
    return {text_of(node) for query in queries for node in captured(tree, query)}


def _exports(name: str, text: str) -> bool:
    """Whether a file exports a name by that name."""
    declared = rf"^export (abstract |async |declare |const )*\w+\*? *{re.escape(name)}\b"
    listed = rf"^export (type )?\{{[^}}]*(?<![\w$]){re.escape(name)}(?![\w$]| +as )[^}}]*\}}"
    return bool(re.search(f"{declared}|{listed}", text, re.MULTILINE))


def _statement(name: str, target: Path, tree: SyntaxTree, file: Path) -> str:
    sources = [text_of(node) for node in captured(tree, _MODULES)]
    quote = "'" if sources and sources[-1].startswith("'") else '"'
    imports = [text_of(node) for node in captured(tree, "(import_statement) @import")]
    end = "" if imports and not imports[-1].endswith(";") else ";"
    relative = [it.strip("\"'") for it in sources if it.strip("\"'").startswith(".")]
    ending = ".js" if relative and relative[-1].endswith(".js") else ""
    path = _ENDING.sub("", Path(os.path.relpath(target, file.parent)).as_posix())
    if not ending:
        path = path.removesuffix("/index") if path != "index" else "."
    path = path if path.startswith(".") else f"./{path}"
    return f"import {{ {name} }} from {quote}{path}{ending}{quote}{end}"
