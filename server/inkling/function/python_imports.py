"""Python: names a function uses that nothing in its document gives it, and how they are imported."""

import ast
import builtins
import symtable
import sys
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path

from inkling.context.neighbours import neighbours, read_source
from inkling.context.syntax import SyntaxTree
from inkling.core import DocumentSnapshot
from inkling.workspace.facts import Symbol
from inkling.workspace.python_modules import PythonModules
from inkling.workspace.workspace import Workspace

# Files that are asked how they import a name.
_MAX_FILES = 8
_GIVEN = frozenset(dir(builtins)) | {"__file__", "__name__", "__doc__", "__all__", "__class__"}


def missing_names(document: str, function: str) -> Mapping[str, bool]:
    """Names that the function uses and the whole document, with it, never binds at its top level;
    of each whether it is only ever the left of a dot, as modules are. Nothing for a document that
    does not compile or imports `*`.
    """
    try:
        module = symtable.symtable(document, "document", "exec")
        source = ast.parse(textwrap.dedent(function))
    except (SyntaxError, ValueError, RecursionError):
        return {}
    if "import *" in document:
        return {}
    bound = {it.get_name() for it in module.get_symbols() if it.is_assigned() or it.is_imported()}
    bound |= {child.get_name() for child in module.get_children()}
    inner = symtable.symtable(ast.unparse(source), "function", "exec")
    free = {name for name in _free_names(inner) if name not in bound | _GIVEN}
    dotted = {id(it.value) for it in ast.walk(source) if isinstance(it, ast.Attribute)}
    return {
        name: all(
            id(it) in dotted
            for it in ast.walk(source)
            if isinstance(it, ast.Name) and it.id == name
        )
        for name in sorted(free)
    }


def statements(
    names: Mapping[str, bool],
    document: DocumentSnapshot,
    tree: SyntaxTree,
    file: Path,
    workspace: Workspace,
) -> dict[str, str]:
    """An import for each name that is known: as most files import it, of the standard library, or
    from the one place that defines it. `tree` is the document's, `file` where it lies."""
    found: dict[str, str] = {}
    near = neighbours(document, tree, _MAX_FILES) if names else ()
    path = document.path
    for name, is_dotted in names.items():
        statement = _as_others_do(name, path, near, workspace)
        if not statement and is_dotted and name in sys.stdlib_module_names:
            statement = f"import {name}"
        statement = statement or _from_definition(name, path, file, workspace)
        if statement:
            found[name] = statement
    return found


def _free_names(table: symtable.SymbolTable) -> Iterator[str]:
    """Names looked up beyond a table and all within it."""
    is_module = table.get_type() == "module"
    for symbol in table.get_symbols():
        is_bound = symbol.is_assigned() or symbol.is_imported()
        if symbol.is_referenced() and (not is_bound if is_module else symbol.is_global()):
            yield symbol.get_name()
    for child in table.get_children():
        yield from _free_names(child)


def _as_others_do(
    name: str, path: str, near: Iterable[DocumentSnapshot], workspace: Workspace
) -> str:
    """The statement by which most of the files near the document, and of those that speak of a name,
    import it; "" if none does."""
    others = {it.path: it for it in near}
    for other in workspace.index.similar_files([name], "python", _MAX_FILES):
        source = read_source(workspace.root / other, workspace.root)
        if source is not None:
            others[other] = source
    others.pop(path, None)
    counted = Counter(it for other in others.values() for it in _imports_of(name, other.text))
    return max(counted, key=lambda it: (counted[it], it), default="")


def _imports_of(name: str, text: str) -> Iterator[str]:
    for node in _imports(text):
        meant = [it for it in node.names if (it.asname or it.name) == name]
        if isinstance(node, ast.Import) and meant:
            yield ast.unparse(ast.Import(meant))
        elif isinstance(node, ast.ImportFrom) and meant and not node.level:
            yield ast.unparse(ast.ImportFrom(node.module, meant, 0))


@lru_cache(maxsize=128)
def _imports(text: str) -> tuple[ast.Import | ast.ImportFrom, ...]:
    """The imports at the top level of a file."""
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError):
        return ()
    return tuple(node for node in body if isinstance(node, ast.Import | ast.ImportFrom))


def _from_definition(name: str, path: str, file: Path, workspace: Workspace) -> str:
    found = [it for it in workspace.index.symbols([name], "python") if _can_be_imported(it)]
    if len({it.path for it in found}) != 1 or found[0].path == path:
        return ""
    target = workspace.root / found[0].path
    top = target.parent if target.stem == "__init__" else target.with_suffix("")
    base = top.parent
    while base != workspace.root and (base / "__init__.py").is_file():
        base = base.parent
    modules = PythonModules(file, workspace.root, installed=False)
    folders = [base] if (top.parent / "__init__.py").is_file() else _above(base, workspace.root)
    for folder in folders:
        module = ".".join(top.relative_to(folder).parts)
        if modules.find(module, file) == target:
            return f"from {module} import {name}"
    return ""


def _above(folder: Path, root: Path) -> list[Path]:
    """The folders that a module's name may begin in: those around it up to the workspace, the
    outermost first, but that of sources before what it lies in."""
    found = [it for it in (*reversed(folder.parents), folder) if it.is_relative_to(root)]
    return sorted(found, key=lambda it: it.name != "src")


def _can_be_imported(symbol: Symbol) -> bool:
    """Whether it is at the top level of its module."""
    is_private = symbol.name.startswith("_")
    return not is_private and symbol.kind != "method" and symbol.signature[:1] not in (" ", "\t")
