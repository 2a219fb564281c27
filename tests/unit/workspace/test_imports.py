"""Where imports lead, in real folders."""

from pathlib import Path

import pytest

from inkling.context.languages import LANGUAGE_OF_EXTENSION
from inkling.context.syntax import parse
from inkling.workspace.imports import imported_files
from tests.unit.workspace.folders import draw


@pytest.fixture(autouse=True)
def no_active_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)


def found(root: Path, name: str, text: str, *, installed: bool = True) -> list[str]:
    """`path: names` of each file that a file of this name and text imports."""
    file = root / name
    tree = parse(LANGUAGE_OF_EXTENSION[file.suffix], text)
    assert tree is not None
    imported = imported_files(tree, file, root, installed=installed)
    lines = (f"{it.path.relative_to(root).as_posix()}: {' '.join(it.names)}" for it in imported)
    return [line.strip() for line in lines]


@pytest.mark.parametrize(
    ("picture", "text", "expected"),
    [
        pytest.param("lib/a.py:", "import lib.a as x", ["lib/a.py:"], id="absolute"),
        pytest.param("lib/a.py:", "from lib.a import b, c as d", ["lib/a.py: b c"], id="names"),
        pytest.param("app/a.py:", "from .a import b\nfrom .a import c", ["app/a.py: b c"], id="once"),
        pytest.param("a.py:", "from ..a import b", ["a.py: b"], id="relative, up"),
        pytest.param("app/a.py:", "from . import a", ["app/a.py:"], id="module of a namespace"),
        pytest.param(
            "app/__init__.py: b = 1\napp/a.py:",
            "from . import a, b",
            ["app/a.py:", "app/__init__.py: b"],
            id="module or name of a package",
        ),
        pytest.param(
            "app/__init__.py: b = 1", "from . import ()", ["app/__init__.py:"], id="no name yet"
        ),
        pytest.param("app/a.py:", "import a", ["app/a.py:"], id="beside a script"),
        pytest.param("src/lib/a.py:", "import lib.a", ["src/lib/a.py:"], id="src layout"),
        pytest.param(
            "app/pyproject.toml:\napp/src/lib.py:\nlib.py:",
            "import lib",
            ["app/src/lib.py:"],
            id="the nearest project first",
        ),
        pytest.param("lib/a.py:\nlib/__init__.py:", "import lib", ["lib/__init__.py:"], id="package"),
        pytest.param("a.pyi:", "import a", ["a.pyi:"], id="only a stub"),
        pytest.param("a.py:\na.pyi:", "import a", ["a.py:"], id="own code before stubs"),
        pytest.param("lib/a.py:", "import os, lib\nfrom lib import b", [], id="nothing"),
        pytest.param(
            "lib/__init__.py: from .a import b\nlib/a.py: def b(): pass",
            "from lib import b",
            ["lib/a.py: b"],
            id="passed on",
        ),
        pytest.param(
            "lib/__init__.py: from .a import b as c\nlib/a.py: def b(): pass",
            "from lib import c as d",
            ["lib/a.py: b"],
            id="passed on, renamed",
        ),
        pytest.param(
            "lib/__init__.py: from .a import *\nlib/a.py: x = 1\nlib/b.py: y = 1",
            "from lib import x, y",
            ["lib/a.py: x", "lib/__init__.py: y"],
            id="passed on, all",
        ),
        pytest.param(
            "lib/__init__.py: from .in_ import b\nlib/in_/__init__.py: from .a import b\nlib/in_/a.py: b = 1",
            "from lib import b",
            ["lib/in_/a.py: b"],
            id="passed on twice",
        ),
        pytest.param(
            "lib/__init__.py: from lib import b",
            "from lib import b",
            ["lib/__init__.py: b"],
            id="passed on in a circle",
        ),
        pytest.param(
            "lib/a.py:", "if True:\n    from lib import a", ["lib/a.py:"], id="inside a block"
        ),
    ],
)  # fmt: skip
def test_python_modules_of_the_workspace(
    tmp_path: Path, picture: str, text: str, expected: list[str]
) -> None:
    draw(tmp_path, picture)
    assert found(tmp_path, "app/main.py", text) == expected


SITE = ".venv/lib/python3.11/site-packages"


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        ("x/__init__.py: def b(): pass", "x/__init__.py: b"),
        ("x.py:", "x.py: b"),
        ("x/__init__.py:\nx/__init__.pyi: def b(): ...", "x/__init__.pyi: b"),
        ("x/__init__.py:\nx-stubs/__init__.pyi: def b(): ...", "x-stubs/__init__.pyi: b"),
        ("x/__init__.pyi: from .a import b as b\nx/a.py:\nx/a.pyi: def b(): ...", "x/a.pyi: b"),
        ("x/b.py:", "x/b.py:"),
    ],
)
def test_installed_python_packages(tmp_path: Path, picture: str, expected: str) -> None:
    draw(tmp_path, ".venv/pyvenv.cfg: home = x\napp/")
    draw(tmp_path / SITE, picture)
    assert found(tmp_path, "app/main.py", "from x import b") == [f"{SITE}/{expected}"]
    assert found(tmp_path, "app/main.py", "from x import b", installed=False) == []


@pytest.mark.parametrize("text", ["from  import (b)", "from  import *", "from  import (b as c, d)"])
def test_an_import_without_its_module_yet_finds_nothing(tmp_path: Path, text: str) -> None:
    draw(tmp_path, ".venv/pyvenv.cfg: home = x\napp/")
    draw(tmp_path / SITE, "x/__init__.py: def b(): pass")
    assert found(tmp_path, "app/main.py", text) == []


def test_an_editable_install_leads_to_its_sources(tmp_path: Path) -> None:
    draw(tmp_path, ".venv/pyvenv.cfg: home = x\napp/\nlibs/paint/code/x.py: def b(): pass")
    pth = f"# paths\nimport x; x.run()\n/nowhere\n{tmp_path}/libs/paint/code\n"
    site = tmp_path / SITE
    site.mkdir(parents=True)
    assert found(tmp_path, "app/main.py", "from x import b") == []
    (site / "_paint.pth").touch()
    (site / "a.pth").symlink_to("nowhere")
    (site / "b.pth").mkdir()
    assert found(tmp_path, "app/main.py", "from x import b") == []
    (site / "_paint.pth").write_text(pth)
    assert found(tmp_path, "app/main.py", "from x import b") == ["libs/paint/code/x.py: b"]
    (site / "x.py").touch()
    assert found(tmp_path, "app/main.py", "from x import b") == [f"{SITE}/x.py: b"]
    (site / "json.py").touch()
    assert found(tmp_path, "app/main.py", "import json") == []
    assert found(tmp_path, "app/main.py", "from x import b", installed=False) == []


def test_the_workspace_comes_before_what_is_installed(tmp_path: Path) -> None:
    draw(tmp_path, f".venv/pyvenv.cfg: home = x\n{SITE}/x.py:\nx.py:")
    assert found(tmp_path, "main.py", "import x") == ["x.py:"]


def test_the_active_environment_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw(tmp_path, "elsewhere/lib/python3.12/site-packages/x.py:")
    assert found(tmp_path, "main.py", "import x") == []
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path / "elsewhere"))
    assert found(tmp_path, "main.py", "import x") == [
        "elsewhere/lib/python3.12/site-packages/x.py:"
    ]


def test_a_changed_module_is_looked_at_anew(tmp_path: Path) -> None:
    draw(tmp_path, "lib/__init__.py: from .a import b\nlib/a.py: b = 1\nlib/c.py: b = 1")
    assert found(tmp_path, "main.py", "from lib import b") == ["lib/a.py: b"]
    (tmp_path / "lib/__init__.py").write_text("from .c import b  # moved\n")
    assert found(tmp_path, "main.py", "from lib import b") == ["lib/c.py: b"]


@pytest.mark.parametrize(
    ("picture", "text", "expected"),
    [
        pytest.param("app/a.ts:", 'import { b, c as d } from "./a";', ["app/a.ts: b c"], id="names"),
        pytest.param("app/a.ts:", 'import B from "./a";', ["app/a.ts: B"], id="default"),
        pytest.param("app/a.ts:", 'import * as a from "./a";', ["app/a.ts:"], id="namespace"),
        pytest.param("a.ts:", 'import "../a";', ["a.ts:"], id="for its effects"),
        pytest.param("app/a.js:", 'const a = require("./a");', ["app/a.js:"], id="require"),
        pytest.param("app/a.ts:", 'import a = require("./a");', ["app/a.ts:"], id="import require"),
        pytest.param("app/a.ts:", 'const a = await import("./a");', ["app/a.ts:"], id="dynamic"),
        pytest.param("app/a.ts:", 'export { b } from "./a";', ["app/a.ts: b"], id="export"),
        pytest.param("app/a.ts:", 'import type { B } from "./a.js";', ["app/a.ts: B"], id="js for ts"),
        pytest.param("app/a.tsx:", 'import "./a.js";', ["app/a.tsx:"], id="js for tsx"),
        pytest.param("app/a.js:", 'import "./a.js";', ["app/a.js:"], id="js for js"),
        pytest.param("app/a.mts:", 'import "./a.mjs";', ["app/a.mts:"], id="mjs for mts"),
        pytest.param("app/a.js:\napp/a.d.ts:", 'import "./a";', ["app/a.d.ts:"], id="types first"),
        pytest.param("app/a.util.ts:", 'import "./a.util";', ["app/a.util.ts:"], id="with a dot"),
        pytest.param("app/a/index.ts:", 'import "./a";', ["app/a/index.ts:"], id="index"),
        pytest.param("app/index.ts:", 'import "./";', ["app/index.ts:"], id="own folder"),
        pytest.param(
            'app/a/index.ts: export { b as c } from "./b";\napp/a/b.ts: export const b = 1;',
            'import { c } from "./a";',
            ["app/a/b.ts: b"],
            id="passed on",
        ),
        pytest.param(
            'app/a/index.ts: export * from "./b";\napp/a/b.ts: export const b = 1;',
            'import { b, c } from "./a";',
            ["app/a/b.ts: b", "app/a/index.ts: c"],
            id="passed on, all",
        ),
        pytest.param(
            'app/a/index.ts: export { default as B } from "./b";\napp/a/b.ts: export default class B {}',
            'import { B } from "./a";',
            ["app/a/b.ts: B"],
            id="passed on, default",
        ),
        pytest.param("app/a.css:", 'import "./a.css"; import fs from "fs";', [], id="nothing"),
        pytest.param(
            'tsconfig.json: {"compilerOptions": {"paths": {"@/*": ["./src/*"]}}}\nsrc/a.ts:',
            'import "@/a";',
            ["src/a.ts:"],
            id="paths",
        ),
        pytest.param(
            r'tsconfig.json: {// c\n "compilerOptions": {"baseUrl": "src", "paths": {"#a": ["a",],},}}'
            "\nsrc/a.ts:\nsrc/b.ts:",
            'import "#a"; import "b";',
            ["src/a.ts:", "src/b.ts:"],
            id="baseUrl, comments and commas",
        ),
        pytest.param(
            'app/tsconfig.json: {"extends": "../base"}\nsrc/a.ts:\n'
            'base.json: {"compilerOptions": {"paths": {"~/*": ["src/*"]}}}',
            'import "~/a";',
            ["src/a.ts:"],
            id="inherited paths",
        ),
        pytest.param("tsconfig.json: {{\nb.ts:", 'import "b";', [], id="broken config"),
    ],
)  # fmt: skip
def test_ecmascript_modules_of_the_workspace(
    tmp_path: Path, picture: str, text: str, expected: list[str]
) -> None:
    draw(tmp_path, picture)
    assert found(tmp_path, "app/main.ts", text) == expected


@pytest.mark.parametrize(
    ("picture", "module", "expected"),
    [
        ('x/package.json: {"types": "t.d.ts"}\nx/t.d.ts:\nx/index.js:', "x", "x/t.d.ts"),
        ('x/package.json: {"typings": "t"}\nx/t.d.ts:', "x", "x/t.d.ts"),
        ('x/package.json: {"main": "lib/m.js"}\nx/lib/m.js:', "x", "x/lib/m.js"),
        (
            'x/package.json: {"main": "lib/m.js"}\nx/lib/m.js:\nx/lib/m.d.ts:',
            "x",
            "x/lib/m.d.ts",
        ),
        ("x/package.json: {}\nx/index.js:", "x", "x/index.js"),
        ("x/index.js:", "x", "x/index.js"),
        (
            'x/package.json: {"exports": {".": {"import": {"types": "./t.d.ts"}}}}\nx/t.d.ts:',
            "x",
            "x/t.d.ts",
        ),
        ('x/package.json: {"exports": "./m.js"}\nx/m.js:', "x", "x/m.js"),
        (
            'x/package.json: {"exports": {"./in": {"types": "./t.d.ts"}}}\nx/t.d.ts:',
            "x/in",
            "x/t.d.ts",
        ),
        ("x/lib/a.js:", "x/lib/a", "x/lib/a.js"),
        ('@s/x/package.json: {"types": "t.d.ts"}\n@s/x/t.d.ts:', "@s/x", "@s/x/t.d.ts"),
        ("@types/x/index.d.ts:", "x", "@types/x/index.d.ts"),
        ("@types/s__x/index.d.ts:", "@s/x", "@types/s__x/index.d.ts"),
        ("x/package.json: [\nx/index.js:", "x", "x/index.js"),
    ],
)
def test_installed_ecmascript_packages(
    tmp_path: Path, picture: str, module: str, expected: str
) -> None:
    draw(tmp_path, "app/")
    draw(tmp_path / "node_modules", picture)
    text = f'import {{ b }} from "{module}";'
    assert found(tmp_path, "app/main.ts", text) == [f"node_modules/{expected}: b"]
    assert found(tmp_path, "app/main.ts", text, installed=False) == []


def test_a_package_of_the_workspace_is_followed_to_its_source(tmp_path: Path) -> None:
    draw(
        tmp_path,
        'packages/x/package.json: {"main": "src/a.ts"}\npackages/x/src/a.ts:\nnode_modules/',
    )
    (tmp_path / "node_modules/x").symlink_to(tmp_path / "packages/x")
    assert found(tmp_path, "app/main.ts", 'import { b } from "x";') == ["packages/x/src/a.ts: b"]


def test_other_languages_find_files_by_name(tmp_path: Path) -> None:
    draw(tmp_path, "lib/b.h:\nsrc/b.rb:")
    assert found(tmp_path, "src/a.c", '#include "../lib/b.h"\n') == ["lib/b.h:"]
    assert found(tmp_path, "src/a.rb", 'require_relative "b"\n') == ["src/b.rb:"]
