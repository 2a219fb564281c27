from pathlib import Path

import pytest

from inkling.context.neighbours import neighbours
from inkling.context.syntax import parse
from inkling.core import DocumentSnapshot


def snapshot(file: Path, root: Path, language: str = "python") -> DocumentSnapshot:
    path = file.relative_to(root).as_posix()
    return DocumentSnapshot(file.as_uri(), path, language, file.read_text(), 1)


def found_by(document: DocumentSnapshot) -> tuple[DocumentSnapshot, ...]:
    return neighbours(document, parse(document.language, document.text))


def write(root: Path, **files: str) -> None:
    for name, text in files.items():
        file = root / name.replace("__", "/").replace("_py", ".py").replace("_ts", ".ts")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def test_imported_files_come_before_the_folders_others(tmp_path: Path) -> None:
    write(tmp_path, app__main_py="from .zebra import z\nfrom lib.tools import t\n")
    write(tmp_path, app__aardvark_py="a = 1", app__zebra_py="z = 1", lib__tools_py="t = 1")
    found = found_by(snapshot(tmp_path / "app/main.py", tmp_path))
    assert [item.path for item in found] == ["app/zebra.py", "lib/tools.py", "app/aardvark.py"]


def test_typescript_imports_are_found_without_their_ending(tmp_path: Path) -> None:
    write(tmp_path, src__a_ts='import { b } from "../lib/b";\n', lib__b_ts="export const b = 1;")
    found = found_by(snapshot(tmp_path / "src/a.ts", tmp_path, "typescript"))
    assert [item.path for item in found] == ["lib/b.ts"]
    assert found[0].language == "typescript"


def test_a_changed_file_is_read_again_and_a_broken_one_left_out(tmp_path: Path) -> None:
    write(tmp_path, a_py="", b_py="old = 1")
    (tmp_path / "c.py").write_bytes(b"\xff\xfe\x00")
    here = snapshot(tmp_path / "a.py", tmp_path)
    assert [item.text for item in found_by(here)] == ["old = 1"]
    (tmp_path / "b.py").write_text("newer = 22")
    import os

    os.utime(tmp_path / "b.py", ns=(1, 1))
    assert [item.text for item in found_by(here)] == ["newer = 22"]


def test_an_unsaved_buffer_has_no_neighbours() -> None:
    assert neighbours(DocumentSnapshot("untitled:1", "untitled", "python", "", 1), None) == ()


def test_a_file_of_secrets_is_no_neighbour(tmp_path: Path) -> None:
    write(tmp_path, a_py="", b_py="b = 1")
    (tmp_path / ".env.py").write_text("KEY = 'hunter2'")
    assert [item.path for item in found_by(snapshot(tmp_path / "a.py", tmp_path))] == ["b.py"]


@pytest.mark.parametrize(
    ("language", "name", "text", "others", "expected"),
    [
        ("c", "src/a.c", '#include "../lib/b.h"\n', ["lib/b.h", "lib/c.h"], ["lib/b.h"]),
        ("cpp", "src/a.cpp", "#include <b.h>\n", ["b.h", "src/c.c"], ["b.h", "src/c.c"]),
        ("ruby", "a.rb", 'require_relative "lib/b"\n', ["lib/b.rb", "c.py"], ["lib/b.rb"]),
        (
            "php",
            "a.php",
            "<?php\nuse App\\Shop\\Item;\n",
            ["App/Shop/Item.php"],
            ["App/Shop/Item.php"],
        ),
        ("php", "a.php", "<?php\nrequire __DIR__ . '/lib/b.php';\n", ["lib/b.php"], ["lib/b.php"]),
        ("shellscript", "bin/a.sh", "source lib/b.sh\n", ["lib/b.sh"], ["lib/b.sh"]),
        (
            "java",
            "src/shop/A.java",
            "import shop.cart.B;\n",
            ["src/shop/cart/B.java"],
            ["src/shop/cart/B.java"],
        ),
        ("rust", "src/a.rs", "use crate::shop::Item;\n", ["src/shop.rs"], ["src/shop.rs"]),
        (
            "rust",
            "src/main.rs",
            "mod zebra;\n",
            ["src/ant.rs", "src/zebra.rs"],
            ["src/zebra.rs", "src/ant.rs"],
        ),
        ("go", "a.go", 'import "fmt"\n', ["b.go", "c.rs"], ["b.go"]),
        ("csharp", "A.cs", "using System;\n", ["B.cs"], ["B.cs"]),
    ],
)
def test_neighbours_of_a_language(
    tmp_path: Path, language: str, name: str, text: str, others: list[str], expected: list[str]
) -> None:
    for file, content in [(name, text), *((other, "") for other in others)]:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(content)
    found = found_by(snapshot(tmp_path / name, tmp_path, language))
    assert [item.path for item in found] == expected


def test_an_include_is_looked_for_no_higher_than_the_workspace(tmp_path: Path) -> None:
    (tmp_path / "b.h").write_text("")
    (tmp_path / "work").mkdir()
    (tmp_path / "work/a.c").write_text("#include <b.h>\n")
    assert found_by(snapshot(tmp_path / "work/a.c", tmp_path / "work", "c")) == ()


@pytest.mark.parametrize("language", ["python", "rust"])
def test_a_name_too_long_for_a_file_is_passed_over(tmp_path: Path, language: str) -> None:
    file = tmp_path / "a.txt"
    file.write_text(f"import {'x' * 300}\n" if language == "python" else f"use {'x' * 300}::Y;\n")
    assert found_by(snapshot(file, tmp_path, language)) == ()
