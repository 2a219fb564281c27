"""Where Python's modules lie: in the workspace, else in its environment's site-packages and what they add."""

import contextlib
import os
import sys
from collections.abc import Iterator
from functools import cached_property, lru_cache
from pathlib import Path

from tree_sitter import Node

from inkling.context.syntax import SyntaxTree
from inkling.workspace.modules import ImportStatement, captured, is_file, is_folder, text_of

_PROJECT_FILES = ("pyproject.toml", "setup.py", "setup.cfg")
_ENVIRONMENTS = (".venv", "venv", "env")
_SOURCES_FIRST = (".py", ".pyi")
_STUBS_FIRST = (".pyi", ".py")
_QUERY = "[(import_statement) (import_from_statement)] @statement"


class PythonModules:
    """Modules as a file of the workspace at `root` sees them."""

    def __init__(self, file: Path, root: Path, installed: bool) -> None:
        self._file = file
        self._root = root
        self._installed = installed

    def statements(self, tree: SyntaxTree) -> tuple[ImportStatement, ...]:
        """Each module is named as in the file, with its leading dots."""
        return tuple(it for node in captured(tree, _QUERY) for it in _statements(node))

    def find(self, module: str, file: Path) -> Path | None:
        """The file of a module; stubs come before the sources of installed packages.

        Of a package without a file of its own it is the one that it would have.
        """
        dots = len(module) - len(module.lstrip("."))
        parts = module.strip(".").split(".") if module.strip(".") else []
        if dots > len(file.parents):
            return None
        bases: list[tuple[Path, tuple[str, ...]]]
        if dots:
            endings = _STUBS_FIRST if file.suffix == ".pyi" else _SOURCES_FIRST
            bases = [(file.parents[dots - 1].joinpath(*parts), endings)]
        else:
            bases = [(folder.joinpath(*parts), _SOURCES_FIRST) for folder in self._sources]
            # Python's own modules are in none of them, and most imports are of those.
            installed = (
                () if parts[:1] and parts[0] in sys.stdlib_module_names else self._site_packages
            )
            for folder in installed:
                bases.append((folder.joinpath(f"{parts[0]}-stubs", *parts[1:]), (".pyi",)))
                bases.append((folder.joinpath(*parts), _STUBS_FIRST))
        found = (_first(base, endings) for base, endings in bases)
        namespaces = (base / "__init__.py" for base, _ in bases if is_folder(base))
        return next((it for it in found if it is not None), None) or next(namespaces, None)

    def find_inside(self, package: Path, name: str) -> Path | None:
        """The module of this name in the package with this `__init__` file."""
        return _first(package.with_name(name), (package.suffix, *_SOURCES_FIRST))

    def passes_on(self, file: Path) -> bool:
        """Whether it is a package's own file."""
        return file.stem == "__init__"

    @cached_property
    def _projects(self) -> tuple[Path, ...]:
        """The workspace and the projects in it around the file, nearest first."""
        above = [it for it in self._file.parents if it.is_relative_to(self._root)]
        is_project = [it for it in above if any(map(is_file, map(it.joinpath, _PROJECT_FILES)))]
        return tuple(dict.fromkeys((*is_project, self._root)))

    @cached_property
    def _sources(self) -> tuple[Path, ...]:
        """The folders where top-level modules lie, a script's own folder last."""
        folders = (it for project in self._projects for it in (project / "src", project))
        return (*folders, self._file.parent)

    @cached_property
    def _site_packages(self) -> tuple[Path, ...]:
        if not self._installed:
            return ()
        folders = (
            it for env in self._environments() for it in env.glob("lib/python3*/site-packages")
        )
        return tuple(dict.fromkeys(it for folder in folders for it in (folder, *_added_to(folder))))

    def _environments(self) -> Iterator[Path]:
        for project in self._projects:
            for name in _ENVIRONMENTS:
                if is_file(project / name / "pyvenv.cfg"):
                    yield project / name
        if active := os.environ.get("VIRTUAL_ENV"):
            yield Path(active)


def _added_to(site_packages: Path) -> Iterator[Path]:
    """The folders that its `.pth` files add, which is how editable installs are found."""
    for file in sorted(site_packages.glob("*.pth")):
        with contextlib.suppress(OSError):  # a link to nothing, a folder
            status = file.stat()
            lines = _paths_in(file, status.st_mtime_ns, status.st_size)
            yield from filter(is_folder, map(site_packages.joinpath, lines))


@lru_cache(maxsize=256)
def _paths_in(file: Path, _mtime_ns: int, _size: int) -> tuple[str, ...]:
    """The paths in a `.pth` file. Lines that Python would run are none: what import hooks find stays
    unknown."""
    lines = map(str.strip, file.read_text(encoding="utf-8", errors="replace").splitlines())
    return tuple(it for it in lines if it and not it.startswith(("#", "import ", "import\t")))


def _first(base: Path, endings: tuple[str, ...]) -> Path | None:
    """The module or package at a path without its ending."""
    if not base.name:
        return None
    candidates = (
        path
        for ending in endings
        for path in (base / f"__init__{ending}", base.with_name(base.name + ending))
    )
    return next(filter(is_file, candidates), None)


def _statements(node: Node) -> Iterator[ImportStatement]:
    # While an import is typed, the parser puts empty names where some are missing.
    named = (_name_and_alias(it) for it in node.children_by_field_name("name"))
    names = [it for it in named if all(it)]
    module = node.child_by_field_name("module_name")
    if module is None:
        yield from (ImportStatement(name) for name, _ in names)
        return
    is_all = any(child.type == "wildcard_import" for child in node.children)
    if name := text_of(module):
        yield ImportStatement(name, tuple(names), is_all)


def _name_and_alias(node: Node) -> tuple[str, str]:
    name, alias = node.child_by_field_name("name"), node.child_by_field_name("alias")
    if name is None or alias is None:
        return text_of(node), text_of(node)
    return text_of(name), text_of(alias)
