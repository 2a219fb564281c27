"""The whole way in a real Neovim, with the real server, the real engine and the demo model."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.editors.neovim import Neovim
from tests.processes import stop_engine

pytestmark = [pytest.mark.editor, pytest.mark.timeout(300)]

START = "import os\n\n\ndef file_size(path):\n"


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short path (sockets allow about 100 bytes) and no engine left behind."""
    path = Path(tempfile.mkdtemp(prefix="ink-"))
    yield path
    stop_engine(path / "runtime")
    shutil.rmtree(path, ignore_errors=True)


def test_ghost_text_appears_tab_accepts_it_and_the_file_is_right(folder: Path) -> None:
    file = folder / "sizes.py"
    file.write_text(START)
    neovim = Neovim(file, folder)
    try:
        neovim.send("Goreturn os.path.")  # Neovim indents by itself
        ghost = neovim.wait_for_ghost()
        neovim.send("<Tab>")
        neovim.wait_until(lambda: neovim.ghost() == "", "the accepted text")
        neovim.send("<Esc>:w<CR>")
        neovim.wait_until(lambda: "return" in file.read_text(), "the saved file")
        assert file.read_text() == f"{START}    return os.path.{ghost}\n"
    finally:
        neovim.close()


def test_accepting_right_after_typing_through_doubles_nothing(folder: Path) -> None:
    file = folder / "é🎉.py"
    file.write_text(f"# é🎉\n{START}")
    neovim = Neovim(file, folder)
    try:
        neovim.send("Goreturn os.path.")  # Neovim indents by itself
        ghost = neovim.wait_for_ghost()
        neovim.send(ghost[:2] + "<Tab>")
        wanted = f"    return os.path.{ghost}".split("\n")
        neovim.wait_until(lambda: neovim.lines()[-len(wanted) :] == wanted, "the accepted text")
    finally:
        neovim.close()


def test_tab_is_a_tab_where_nothing_is_shown(folder: Path) -> None:
    file = folder / "notes.js"
    file.write_text("")
    neovim = Neovim(file, folder, settings={"enabled": False})
    try:
        neovim.send("ix<Tab>y<Esc>")
        neovim.wait_until(lambda: neovim.lines() == ["x\ty"], "the typed tab")
    finally:
        neovim.close()
