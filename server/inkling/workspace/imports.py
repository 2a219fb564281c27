"""Where a document's imports lead: files of the workspace, and of packages installed for it.

Reads the disk: call it in a thread. Modules that only pass on what others define (`__init__.py`,
`index.ts`) are looked through, so that what comes out is the file with the definition.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from inkling.context.definitions import imports
from inkling.context.languages import LANGUAGE_OF_EXTENSION, LANGUAGES
from inkling.context.syntax import SyntaxTree
from inkling.workspace.ecmascript import EcmaScriptModules
from inkling.workspace.modules import Imported, ImportStatement, Module, is_file, module_at
from inkling.workspace.python_modules import PythonModules

# How many modules that only pass names on are looked through for one name.
MAX_STEPS = 2

# What stands between the parts of a module's name, and parts that name no folder.
_SEPARATOR = re.compile(r"::|[.\\/]")
_ROOTS = frozenset({"", "crate", "self", "super"})


class ModuleSystem(Protocol):
    """How one language family names modules, seen from one workspace."""

    def statements(self, tree: SyntaxTree) -> tuple[ImportStatement, ...]:
        """What a file imports and passes on, in its order."""

    def find(self, module: str, file: Path) -> Path | None:
        """The file of a module as `file` names it."""

    def find_inside(self, package: Path, name: str) -> Path | None:
        """The module of this name inside the package whose own file is `package`."""

    def passes_on(self, file: Path) -> bool:
        """Whether a file is one that usually passes on what other files define."""


def imported_files(
    tree: SyntaxTree, file: Path, root: Path, *, installed: bool = True
) -> tuple[Imported, ...]:
    """The files that `file`, parsed as `tree`, imports, each once and in its order.

    `root` is the workspace. Python and ECMAScript say which names are meant (a default export goes by
    the name it gets here); of other languages, and of a module imported as a whole, `names` is empty. `installed`: look for packages of the
    workspace's environment too.
    """
    family = tree.language.family
    modules: ModuleSystem
    if family == "python":
        modules = PythonModules(file, root, installed)
    elif family == "javascript":
        modules = EcmaScriptModules(file, root, installed)
    else:
        found = _found_by_name(tree, file, root)
        return tuple(Imported(path, ()) for path in dict.fromkeys(found))
    names_of: dict[Path, dict[str, None]] = {}
    for statement in modules.statements(tree):
        for path, name in _origins(statement, file, modules):
            if path == file or not is_file(path):
                continue
            names = names_of.setdefault(path, {})
            if name:
                names[name] = None
    return tuple(Imported(path, tuple(names)) for path, names in names_of.items())


def _origins(
    statement: ImportStatement, file: Path, modules: ModuleSystem
) -> Iterator[tuple[Path, str]]:
    """The file, and the name in it, of each thing imported; "" for a module as a whole."""
    target = modules.find(statement.module, file)
    if target is None:
        return
    if not statement.names:
        yield target, ""
    for name, local in statement.names:
        path, original = _origin(target, name, modules, MAX_STEPS)
        yield path, local if original == "default" else original


def _origin(file: Path, name: str, modules: ModuleSystem, steps: int) -> tuple[Path, str]:
    """Where what a module calls `name` is defined, as far as `steps` modules further on."""
    if steps == 0 or not modules.passes_on(file):
        return file, name
    module = module_at(file, modules.statements)
    if module is not None and name in module.defined:
        return file, name
    if inside := modules.find_inside(file, name):
        return inside, ""
    if module is None:
        return file, name
    for statement in module.statements:
        for original, local in statement.names:
            if local == name and (target := modules.find(statement.module, file)):
                return _origin(target, original, modules, steps - 1)
    for statement in module.statements:
        target = modules.find(statement.module, file) if statement.is_all else None
        if target is not None and _defines(module_at(target, modules.statements), name):
            return target, name
    return file, name


def _defines(module: Module | None, name: str) -> bool:
    return module is not None and name in module.defined


def _found_by_name(tree: SyntaxTree, file: Path, root: Path) -> Iterator[Path]:
    family = tree.language.family
    endings = tuple(
        extension
        for extension, language in LANGUAGE_OF_EXTENSION.items()
        if LANGUAGES[language].family == family
    )
    for name in imports(tree):
        yield from filter(is_file, _by_name(name, file, root, endings))


def _by_name(name: str, file: Path, root: Path, endings: tuple[str, ...]) -> Iterator[Path]:
    """Where a file or module of this name may be: beside the document or in a folder above it.

    The last part may be what is imported from the module rather than the module.
    """
    folders = [folder for folder in file.parents if folder.is_relative_to(root)]
    if name.endswith(endings):
        yield from ((folder / name.lstrip("/")).resolve() for folder in folders)
        return
    parts = [part for part in _SEPARATOR.split(name) if part not in _ROOTS]
    for used in (parts, parts[:-1]) if len(parts) > 1 else (parts,):
        for folder in folders if used else ():
            base = folder.joinpath(*used)
            yield from (base.with_name(base.name + end) for end in endings)
