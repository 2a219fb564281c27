"""The text that calibration runs on: code, since that is what the model will be asked for."""

import os
import random
import sysconfig
from collections.abc import Iterator
from functools import cache
from itertools import count
from pathlib import Path

import torch
from torch import Tensor

from inkling.engine.convert.gptq import CalibrationError
from inkling.tokenizer import Tokenizer

ROWS, LENGTH = 100, 2048
_SUFFIX_LIST = (
    ".c .cc .cpp .cs .dart .ex .go .h .hpp .java .js .jsx .kt .lua .php .pl .py .r .rb .rs .scala"
    " .sh .sql .svelte .swift .ts .tsx .vue .zig"
)
_SUFFIXES = frozenset(_SUFFIX_LIST.split())
# Tests repeat themselves, and what others wrote is no sample of a folder.
_SKIPPED_LIST = "__pycache__ idle_test test testing tests dist-packages site-packages node_modules"
_SKIPPED = frozenset(_SKIPPED_LIST.split())
_LARGEST = 1 << 20  # bytes; what is larger was generated


def calibration_tokens(
    tokenizer: Tokenizer, folder: Path | None = None, rows: int = ROWS, length: int = LENGTH
) -> Tensor:
    """Token ids int64 `[rows, length]` of source files in `folder`, or of the standard library of the
    Python that runs.

    Files come in a shuffled order, always the same, each with up to `length` tokens from its beginning;
    only when all have been used do they come again, with what follows. Skipped are folders of tests
    and of packages, hidden ones, and files that are not UTF-8 or larger than a megabyte.

    Raises CalibrationError when there is not enough text.
    """
    root = Path(sysconfig.get_path("stdlib")) if folder is None else folder
    files = sorted(_files(root))
    random.Random(0).shuffle(files)

    @cache
    def ids_of(file: Path) -> list[int]:
        try:
            return tokenizer.encode(file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError):
            return []

    needed = rows * length
    taken: list[int] = []
    for start in count(0, length):
        before = len(taken)
        for file in files:
            taken += ids_of(file)[start : start + length]
            if len(taken) >= needed:
                return torch.tensor(taken[:needed]).view(rows, length)
        if len(taken) == before:
            raise CalibrationError(
                f"The source files in {root} have {len(taken):,} tokens, but calibration takes"
                f" {needed:,}: give a folder with more code."
            )
    raise AssertionError("the loop ends by itself")


def _files(root: Path) -> Iterator[Path]:
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = [name for name in subfolders if not _is_skipped(name)]
        for name in names:
            path = Path(folder, name)
            if path.suffix in _SUFFIXES and path.is_file() and path.stat().st_size <= _LARGEST:
                yield path


def _is_skipped(name: str) -> bool:
    return name.startswith(".") or name in _SKIPPED
