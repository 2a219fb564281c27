"""Which files belong into an index, by pictures of folders."""

import logging
import os
import subprocess
from pathlib import Path

import pytest

from inkling.workspace.scan import MAX_BYTES, MAX_LINE_LEN, read_code, scan
from tests.unit.workspace.folders import draw


def found_in(root: Path) -> list[str]:
    return list(scan(root.resolve()).files)


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        pytest.param("a.py:\nREADME.md:\nb.ts:\nlib/c.go:", "a.py b.ts lib/c.go", id="languages"),
        pytest.param(".gitignore: *.py\na.py:\nb.js:", "b.js", id="by ending"),
        pytest.param(".gitignore: out/\nout/a.py:\nlib/out/b.py:\nc.py:", "c.py", id="folder"),
        pytest.param(".gitignore: /out\nout/a.py:\nlib/out/b.py:", "lib/out/b.py", id="anchored"),
        pytest.param("lib/.gitignore: *.py\na.py:\nlib/b.py:", "a.py", id="deeper level"),
        pytest.param(
            ".gitignore: *.py\nlib/.gitignore: !b.py\na.py:\nlib/b.py:",
            "lib/b.py",
            id="brought back",
        ),
        pytest.param(
            ".gitignore: /lib/\nlib/.gitignore: !b.py\nlib/b.py:",
            "",
            id="not out of an ignored folder",
        ),
        pytest.param(
            r".gitignore: /*\n!/src/" + "\na.py:\nsrc/b.py:", "src/b.py", id="all but one folder"
        ),
        pytest.param(".inklingignore: b.py\na.py:\nb.py:", "a.py", id="own file"),
        pytest.param(
            ".gitignore: gen/\n.inklingignore: !gen/\ngen/a.py:", "gen/a.py", id="own file wins"
        ),
        pytest.param(
            ".inklingignore: a.py\nlib/.gitignore: !a.py\nlib/a.py:", "", id="own file wins, deeper"
        ),
        pytest.param(".git/info/exclude: b.py\na.py:\nb.py:", "a.py", id="exclude file"),
        pytest.param(
            "node_modules/x/a.js:\n__pycache__/b.py:\nlib/node_modules/c.js:\nd.js:",
            "d.js",
            id="foreign",
        ),
        pytest.param(
            ".inklingignore: !node_modules/\nnode_modules/a.js:",
            "node_modules/a.js",
            id="foreign, wanted",
        ),
        pytest.param(".inklingignore: !.git/\n.git/hooks/a.py:", "", id="never .git"),
        pytest.param("env/pyvenv.cfg: home = x\nenv/lib/a.py:\nb.py:", "b.py", id="environment"),
        pytest.param("pyvenv.cfg: home = x\na.py:", "a.py", id="environment as the workspace"),
        pytest.param("secrets.yaml:\n.env.py:\na.py:", "a.py", id="secrets"),
        pytest.param(r".gitignore: \xff!\n[\nb.py" + "\na.py:\nb.py:", "a.py", id="not a pattern"),
    ],
)
def test_files_of_a_folder(tmp_path: Path, picture: str, expected: str) -> None:
    draw(tmp_path, picture)
    assert found_in(tmp_path) == expected.split()


def test_git_agrees(tmp_path: Path) -> None:
    """The same folder by git's own rules."""
    draw(
        tmp_path,
        r"""
        .gitignore: *.js\n!keep.js\n/build\ndocs/**/*.py\n# a comment\n\nlogs/\n!logs/b.py
        .git/info/exclude: private.py
        a.js:
        keep.js:
        private.py:
        build/a.py:
        lib/build/a.py:
        lib/.gitignore: /x.py\n!*.js
        lib/x.py:
        lib/a.js:
        lib/deep/x.py:
        docs/a.py:
        docs/deep/er/b.py:
        logs/b.py:
        """,
    )
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    (tmp_path / ".git/info/exclude").write_text("private.py\n")
    listed = subprocess.run(
        ["git", "-C", tmp_path, "ls-files", "--others", "--exclude-standard"],
        check=True,
        capture_output=True,
        text=True,
    )
    by_git = {path for path in listed.stdout.split() if not path.endswith(".gitignore")}
    assert set(found_in(tmp_path)) == by_git
    assert by_git  # it has looked at something


def test_a_workspace_inside_a_repository_has_its_rules(tmp_path: Path) -> None:
    draw(tmp_path, ".git/\n.gitignore: *.js\napp/a.js:\napp/b.py:\nout/c.py:")
    assert found_in(tmp_path / "app") == ["b.py"]
    (tmp_path / ".gitignore").write_text("*.js\n/out/\n")
    assert found_in(tmp_path / "out") == ["c.py"]  # opened although ignored


def test_symbolic_links_are_not_followed(tmp_path: Path) -> None:
    draw(tmp_path, "work/a.py: x = 1\noutside/b.py: y = 1")
    work = tmp_path / "work"
    os.symlink(tmp_path / "outside", work / "out")
    os.symlink(work, work / "loop")
    os.symlink(work / "a.py", work / "again.py")
    assert found_in(work) == ["a.py"]


def test_no_more_than_so_many_files(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    draw(tmp_path, "a.py:\nb.py:\nc.py:")
    with caplog.at_level(logging.WARNING):
        assert list(scan(tmp_path, max_files=2).files) == ["a.py", "b.py"]
    assert "only the first 2 files" in caplog.text


def test_large_files_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "large.py").write_text("x = 1\n" * (MAX_BYTES // 6 + 1))
    (tmp_path / "small.py").write_text("x = 1\n")
    assert found_in(tmp_path) == ["small.py"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"x = 1\n", "x = 1\n"),
        (b"\xef\xbb\xbfx = 1\r\ny = 2\r\n", "x = 1\ny = 2\n"),
        (b"", ""),
        (b"x = 1\0", None),
        (b"x = '\xff'", None),
        (b"var a;" * (MAX_LINE_LEN // 6 + 1), None),
        (b"var a;\n" * (MAX_LINE_LEN // 6 + 1), "var a;\n" * (MAX_LINE_LEN // 6 + 1)),
    ],
    ids=["text", "mark and CRLF", "empty", "binary", "not UTF-8", "minified", "long"],
)
def test_what_is_code(tmp_path: Path, content: bytes, expected: str | None) -> None:
    (tmp_path / "a.js").write_bytes(content)
    assert read_code(tmp_path / "a.js") == expected


def test_a_file_that_is_gone_is_no_code(tmp_path: Path) -> None:
    assert read_code(tmp_path / "a.py") is None
