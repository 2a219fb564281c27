"""Which text calibration runs on."""

from pathlib import Path

import pytest
import torch

from inkling.engine.convert.calibration_text import calibration_tokens
from inkling.engine.convert.gptq import CalibrationError
from inkling.engine.pick import demo_folder
from inkling.tokenizer import Tokenizer

TOKENIZER = Tokenizer.load(demo_folder())


def write(folder: Path, files: dict[str, str | bytes]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def text_of(folder: Path, rows: int, length: int) -> str:
    taken = calibration_tokens(TOKENIZER, folder, rows, length)
    assert taken.dtype == torch.int64 and taken.shape == (rows, length)
    return TOKENIZER.decode(taken.flatten().tolist())


def test_the_standard_library_is_enough_and_always_the_same() -> None:
    taken = calibration_tokens(TOKENIZER, None, rows=8, length=512)
    assert taken.shape == (8, 512)
    assert torch.equal(taken, calibration_tokens(TOKENIZER, None, rows=8, length=512))
    assert len(set(taken.flatten().tolist())) > 200


def test_each_file_gives_a_piece_before_any_gives_a_second(tmp_path: Path) -> None:
    write(tmp_path, {f"{name}.py": f"{name} = 1\n" * 100 for name in "abcd"})
    text = text_of(tmp_path, rows=4, length=50)
    assert all(f"{name} = 1\n" in text for name in "abcd")
    longer = text_of(tmp_path, rows=6, length=50)
    assert longer.startswith(text)


def test_only_source_code_of_the_folder_itself_is_read(tmp_path: Path) -> None:
    bad = "bad = 0\n" * 100
    files: dict[str, str | bytes] = {
        "good.py": "good = 1\n" * 100,
        "src/good.ts": "good = 2\n" * 100,
        "latin.py": b"caf\xe9 = 3\n" * 100,
        "notes.txt": bad,
        "huge.py": bad * 2000,
    }
    for skipped in ("tests", "node_modules", ".git", "venv/lib/site-packages"):
        files[f"{skipped}/x.py"] = bad
    write(tmp_path, files)
    text = text_of(tmp_path, rows=4, length=100)
    assert "good = 1" in text and "good = 2" in text
    assert "bad" not in text and "caf" not in text


def test_too_little_text_is_said(tmp_path: Path) -> None:
    write(tmp_path, {"a.py": "a = 1\n"})
    with pytest.raises(
        CalibrationError, match=r"have \d tokens, but calibration takes 200: give a"
    ):
        calibration_tokens(TOKENIZER, tmp_path, rows=2, length=100)
