"""The command line as a person uses it."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import engine_pid

pytestmark = pytest.mark.e2e


def inkling(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "inkling", *arguments],
        capture_output=True,
        check=False,
        text=True,
        cwd=cwd,
    )


def test_complete_prints_the_completion_and_says_which_model_wrote_it(
    runtime: Path, tmp_path: Path
) -> None:
    (tmp_path / "sizes.py").write_text("import os\n\n\ndef size(path):\n    return os.path.\n")
    ran = inkling("complete", "sizes.py:5", cwd=tmp_path)
    assert ran.returncode == 0
    assert ran.stdout.strip().endswith(")")
    assert "demo model on cpu" in ran.stderr
    again = inkling("complete", "sizes.py:5:20", cwd=tmp_path)
    assert again.stdout == ran.stdout


def test_with_nothing_to_suggest_it_says_why_and_fails(runtime: Path, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("TOKEN=\n")
    ran = inkling("complete", ".env:1", cwd=tmp_path)
    assert ran.returncode == 1
    assert ran.stdout.strip() == ""
    assert "no suggestion (secret)" in ran.stderr
    assert engine_pid(runtime) is None


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        ("missing.py:1", "cannot read missing.py: No such file"),
        ("a.py", "'a.py' is not FILE:LINE[:COL]"),
        ("a.py:9", "a.py has 2 lines, not 9"),
        ("a.py:1:80", "line 1 of a.py has columns 1 to 6, not 80"),
        ("latin.py:1", "latin.py is not UTF-8 text (byte 1)"),
    ],
)
def test_a_place_that_is_not_there_is_one_clear_sentence(
    runtime: Path, tmp_path: Path, place: str, sentence: str
) -> None:
    (tmp_path / "a.py").write_text("x = 1\n")
    (tmp_path / "latin.py").write_bytes(b"#\xe9\n")
    ran = inkling("complete", place, cwd=tmp_path)
    assert ran.returncode == 1
    assert ran.stderr.startswith("inkling: ")
    assert sentence in ran.stderr
    assert len(ran.stderr.splitlines()) == 1
    assert (tmp_path / "a.py").read_text() == "x = 1\n"


def test_doctor_names_what_is_there_and_what_to_do(
    runtime: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = inkling("doctor", cwd=tmp_path)
    assert ran.returncode == 0
    for name in ("Python", "torch", "GPU", "model", "socket", "engine", "Neovim", "VS Code"):
        assert f" {name} " in ran.stdout
    assert "demo model (a demonstration, not gpt-oss-20b)" in ran.stdout
    monkeypatch.setenv("INKLING_ENGINE__MODEL", str(tmp_path / "nowhere"))
    broken = inkling("doctor", cwd=tmp_path)
    assert broken.returncode == 1
    assert "✗ model" in broken.stdout
    assert f"{tmp_path}/nowhere is no checkpoint" in broken.stdout
    assert "→ set engine.model to the folder of an EXL2 checkpoint" in broken.stdout


def test_a_bad_setting_is_named_and_the_rest_works(
    runtime: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INKLING_MAX_FILE_KB", "many")
    (tmp_path / ".env").write_text("")
    ran = inkling("complete", ".env:1", cwd=tmp_path)
    assert "max_file_kb cannot be 'many'" in ran.stderr
    assert "no suggestion (secret)" in ran.stderr
