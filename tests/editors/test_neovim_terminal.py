"""Ghost text in a real terminal: what tmux says is on screen, also kept as a picture."""

import io
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console
from rich.text import Text

from tests.editors.neovim import CACHE, environment, find_neovim, write_init

pytestmark = [
    pytest.mark.editor,
    pytest.mark.timeout(180),
    pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed"),
]
PICTURES = CACHE / "editor-pictures"
WIDTH, HEIGHT = 70, 12
# Colours by which ghost text can be told from text that is there.
LOOK = "vim.api.nvim_set_hl(0, 'InklingGhost', { ctermfg = 8, italic = true, cterm = { italic = true } })"
GREY = re.compile(r"\x1b\[[\d;]*90m([^\x1b]*)")


def test_ghost_text_is_drawn_grey_and_accepted_in_a_terminal(folder: Path) -> None:
    file = folder / "sizes.py"
    file.write_text("import os\n\n\ndef file_size(path):\n")
    init = write_init(folder)
    init.write_text(f"{init.read_text()}\n{LOOK}\n")
    tmux = ["tmux", "-L", f"inkling-{os.getpid()}", "-f", "/dev/null"]

    def run(*arguments: str) -> str:
        ran = subprocess.run([*tmux, *arguments], check=True, capture_output=True, text=True)
        return ran.stdout

    def screen() -> str:
        return run("capture-pane", "-e", "-p", "-t", "n")

    subprocess.run(
        [*tmux, "new-session", "-d", "-s", "n", "-x", str(WIDTH), "-y", str(HEIGHT)]
        + [f"{find_neovim()} -u {init} {file}"],
        env={**environment(folder), "TERM": "tmux-256color"},
        cwd=folder,
        check=True,
    )
    try:
        _wait_until(lambda: "file_size" in screen(), "the file on screen")
        run("send-keys", "-t", "n", "-l", "Goreturn os.path.")
        _wait_until(lambda: GREY.search(screen()) is not None, "grey text")
        shown = screen()
        grey = GREY.search(shown)
        assert grey is not None
        assert f"os.path.{grey[1]}" in re.sub(r"\x1b\[[\d;]*m", "", shown)
        _save_picture(shown)
        run("send-keys", "-t", "n", "Tab")
        _wait_until(lambda: GREY.search(screen()) is None, "the accepted text")
        run("send-keys", "-t", "n", "Escape")
        time.sleep(0.1)  # else a terminal takes the next key for one with Alt
        run("send-keys", "-t", "n", ":wq", "Enter")
        wanted = f"    return os.path.{grey[1]}\n"
        _wait_until(lambda: file.read_text().endswith(wanted), "the saved file")
    finally:
        subprocess.run([*tmux, "kill-server"], check=False, capture_output=True)


def _wait_until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, f"no {what}"
        time.sleep(0.1)


def _save_picture(screen: str) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(screen.rstrip("\n")), soft_wrap=True)
    (PICTURES / "neovim.svg").write_text(console.export_svg(title="Neovim", clear=False))
    (PICTURES / "neovim.txt").write_text(console.export_text())
