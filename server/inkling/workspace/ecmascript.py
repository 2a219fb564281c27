"""Where the modules of JavaScript and TypeScript lie: relative paths, `paths` of a tsconfig, packages.

The rules are TypeScript's ("bundler" resolution), without asking which module system is in force:
types come before the code that they describe.
"""

import json
import os
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

from tree_sitter import Node

from inkling.context.syntax import SyntaxTree
from inkling.workspace.modules import ImportStatement, captured, is_file, is_folder, text_of

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"

_ENDINGS = (".ts", ".tsx", ".d.ts", ".mts", ".cts", ".js", ".jsx", ".mjs", ".cjs")
# What an ending in an import may stand for: TypeScript is imported by the name of its output.
_WRITTEN_FOR = {
    ".js": (".ts", ".tsx", ".d.ts", ".js", ".jsx"),
    ".jsx": (".tsx", ".jsx"),
    ".mjs": (".mts", ".d.mts", ".mjs"),
    ".cjs": (".cts", ".d.cts", ".cjs"),
}
_CONFIGS = ("tsconfig.json", "jsconfig.json")
_MAX_EXTENDS = 4
# The conditions of a package's `exports` under which types or code are to be found, best first.
_CONDITIONS = ("types", "import", "module", "node", "default", "require")
_NOT_JSON = re.compile(r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/|,(?=\s*[}\]])', re.DOTALL)
_QUERY = """
    [(import_statement) (export_statement source: (_))
     (call_expression
       function: [(identifier) (import)] @_function
       arguments: (arguments . (string))
       (#any-of? @_function "require" "import"))] @statement
"""


class EcmaScriptModules:
    """Modules as a file of the workspace at `root` sees them."""

    def __init__(self, file: Path, root: Path, installed: bool) -> None:
        self._file = file
        self._root = root
        self._installed = installed

    def statements(self, tree: SyntaxTree) -> tuple[ImportStatement, ...]:
        """Each module is named as in the file, without quotation marks."""
        found = (_statement(node) for node in captured(tree, _QUERY))
        return tuple(it for it in found if it is not None)

    def find(self, module: str, file: Path) -> Path | None:
        """The file of a module as `file` names it."""
        if module.startswith("."):
            return _file_at(file.parent / module)
        for base in self._mapped(module):
            if found := _file_at(base):
                return found
        return self._in_packages(module, file) if self._installed else None

    def find_inside(self, package: Path, name: str) -> Path | None:
        """None: a name of a module is no module."""
        return None

    def passes_on(self, file: Path) -> bool:
        """Whether it stands for its folder."""
        return file.name.partition(".")[0] == "index"

    def _mapped(self, module: str) -> Iterator[Path]:
        """Where the nearest tsconfig.json or jsconfig.json sends a module's name."""
        folders = [it for it in self._file.parents if it.is_relative_to(self._root)]
        files = (folder / name for folder in folders for name in _CONFIGS)
        config = next(filter(is_file, files), None)
        if config is None:
            return
        base_url, paths, folder = _mapping(config)
        for pattern, targets in paths.items():
            before, star, after = pattern.partition("*")
            fits = (
                module.startswith(before) and module.endswith(after) if star else module == before
            )
            if fits and len(module) >= len(before) + len(after):
                middle = module[len(before) : len(module) - len(after)]
                yield from (folder / target.replace("*", middle, 1) for target in targets)
        if base_url is not None:
            yield base_url / module

    def _in_packages(self, module: str, file: Path) -> Path | None:
        parts = module.split("/")
        length = 2 if module.startswith("@") else 1
        name, inside = "/".join(parts[:length]), "/".join(parts[length:])
        types = f"@types/{name.removeprefix('@').replace('/', '__')}"
        for folder in file.parents:
            if not folder.is_relative_to(self._root):
                break
            for package in (folder / "node_modules" / name, folder / "node_modules" / types):
                if is_folder(package) and (found := _in_package(package.resolve(), inside)):
                    return found
        return None


def _statement(node: Node) -> ImportStatement | None:
    if node.type == "call_expression":
        arguments = node.child_by_field_name("arguments")
        source = arguments.named_child(0) if arguments is not None else None
    else:
        clauses = [it for it in node.named_children if it.type == "import_require_clause"]
        source = (clauses[0] if clauses else node).child_by_field_name("source")
    if source is None:
        return None
    names = _names(node) if node.type != "call_expression" else ()
    is_all = node.type == "export_statement" and any(it.type == "*" for it in node.children)
    return ImportStatement(text_of(source).strip("\"'`"), names, is_all)


def _names(node: Node) -> tuple[tuple[str, str], ...]:
    found: list[tuple[str, str]] = []
    for child in node.named_children:
        if child.type in ("import_specifier", "export_specifier"):
            name, alias = child.child_by_field_name("name"), child.child_by_field_name("alias")
            if name is not None:
                found.append((text_of(name), text_of(alias or name)))
        elif child.type == "identifier" and node.type == "import_clause":
            found.append(("default", text_of(child)))
        elif child.type in ("import_clause", "named_imports", "export_clause"):
            found += _names(child)
    return tuple(found)


def _file_at(base: Path) -> Path | None:
    """The file that a path in an import stands for: with its ending left out, or another's."""
    base = Path(os.path.normpath(base))
    stem = base.with_suffix("") if base.suffix in _WRITTEN_FOR else base
    candidates = [stem.parent / (stem.name + end) for end in _WRITTEN_FOR.get(base.suffix, ())]
    if base.name.endswith(_ENDINGS):
        candidates.append(base)
    candidates += [base.parent / (base.name + ending) for ending in _ENDINGS]
    candidates += [base / f"index{ending}" for ending in _ENDINGS]
    return next(filter(is_file, candidates), None)


def _mapping(config: Path) -> tuple[Path | None, dict[str, list[str]], Path]:
    """`baseUrl`, `paths` and the folder these are relative to; what a config lacks it inherits."""
    base_url: Path | None = None
    for _ in range(_MAX_EXTENDS):
        read = _read_json(config)
        options = read.get("compilerOptions")
        options = options if isinstance(options, dict) else {}
        url, paths = options.get("baseUrl"), options.get("paths")
        if base_url is None and isinstance(url, str):
            base_url = config.parent / url
        if isinstance(paths, dict):
            lists = {pattern: it for pattern, it in paths.items() if isinstance(it, list)}
            texts = {
                pattern: [t for t in it if isinstance(t, str)] for pattern, it in lists.items()
            }
            return base_url, texts, base_url or config.parent
        extends = read.get("extends")
        if not isinstance(extends, str) or not extends.startswith("."):
            break
        config = config.parent / (extends if extends.endswith(".json") else f"{extends}.json")
    return base_url, {}, config.parent


def _in_package(package: Path, inside: str) -> Path | None:
    """The file of a package, or of a module `inside` it, types before code."""
    read = _read_json(package / "package.json")
    exports = read.get("exports")
    if isinstance(exports, dict) and any(key.startswith(".") for key in exports):
        exports = exports.get(f"./{inside}" if inside else ".")
    elif inside:
        exports = None
    named: list[Json] = [_exported(exports)]
    if inside:
        named.append(inside)
    else:
        named = [read.get("types"), read.get("typings"), *named, read.get("main"), "index"]
    bases = (package / it for it in named if isinstance(it, str))
    return next((found for it in bases if (found := _file_at(it))), None)


def _exported(exports: Json) -> str | None:
    """The path in a package's `exports`, by the first condition that holds."""
    if isinstance(exports, str):
        return exports
    if isinstance(exports, list):
        return next((it for it in map(_exported, exports) if it is not None), None)
    if isinstance(exports, dict):
        found = (_exported(exports.get(condition)) for condition in _CONDITIONS)
        return next((it for it in found if it is not None), None)
    return None


def _read_json(file: Path) -> dict[str, Json]:
    """A JSON object with or without comments and trailing commas; {} for what cannot be read."""
    try:
        return _parse_json(file, file.stat().st_mtime_ns)
    except OSError:
        return {}


@lru_cache(maxsize=64)
def _parse_json(file: Path, mtime_ns: int) -> dict[str, Json]:
    try:
        text = _NOT_JSON.sub(lambda found: found[1] or "", file.read_text(encoding="utf-8"))
        read: Json = json.loads(text)
    except (OSError, ValueError, RecursionError):
        return {}
    return read if isinstance(read, dict) else {}
