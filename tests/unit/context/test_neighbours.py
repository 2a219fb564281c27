from pathlib import Path

from inkling.context.neighbours import neighbours
from inkling.core import DocumentSnapshot


def snapshot(file: Path, root: Path, language: str = "python") -> DocumentSnapshot:
    path = file.relative_to(root).as_posix()
    return DocumentSnapshot(file.as_uri(), path, language, file.read_text(), 1)


def write(root: Path, **files: str) -> None:
    for name, text in files.items():
        file = root / name.replace("__", "/").replace("_py", ".py").replace("_ts", ".ts")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def test_imported_files_come_before_the_folders_others(tmp_path: Path) -> None:
    write(tmp_path, app__main_py="from .zebra import z\nfrom lib.tools import t\n")
    write(tmp_path, app__aardvark_py="a = 1", app__zebra_py="z = 1", lib__tools_py="t = 1")
    found = neighbours(snapshot(tmp_path / "app/main.py", tmp_path))
    assert [item.path for item in found] == ["app/zebra.py", "lib/tools.py", "app/aardvark.py"]


def test_typescript_imports_are_found_without_their_ending(tmp_path: Path) -> None:
    write(tmp_path, src__a_ts='import { b } from "../lib/b";\n', lib__b_ts="export const b = 1;")
    found = neighbours(snapshot(tmp_path / "src/a.ts", tmp_path, "typescript"))
    assert [item.path for item in found] == ["lib/b.ts"]
    assert found[0].language == "typescript"


def test_a_changed_file_is_read_again_and_a_broken_one_left_out(tmp_path: Path) -> None:
    write(tmp_path, a_py="", b_py="old = 1")
    (tmp_path / "c.py").write_bytes(b"\xff\xfe\x00")
    here = snapshot(tmp_path / "a.py", tmp_path)
    assert [item.text for item in neighbours(here)] == ["old = 1"]
    (tmp_path / "b.py").write_text("newer = 22")
    import os

    os.utime(tmp_path / "b.py", ns=(1, 1))
    assert [item.text for item in neighbours(here)] == ["newer = 22"]


def test_an_unsaved_buffer_has_no_neighbours() -> None:
    assert neighbours(DocumentSnapshot("untitled:1", "untitled", "python", "", 1)) == ()


def test_a_file_of_secrets_is_no_neighbour(tmp_path: Path) -> None:
    write(tmp_path, a_py="", b_py="b = 1")
    (tmp_path / ".env.py").write_text("KEY = 'hunter2'")
    assert [item.path for item in neighbours(snapshot(tmp_path / "a.py", tmp_path))] == ["b.py"]
