"""The README's picture and recording, made from this build: `make pictures` (needs tmux).

A real Neovim in a real terminal types into a file and shows what the real engine writes.
"""

import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.editors.neovim import environment, find_neovim, write_init
from tests.processes import stop_engine

HERE = Path(__file__).parent
WIDTH, HEIGHT = 84, 25
THEME = TerminalTheme(
    (20, 22, 27),
    (224, 226, 234),
    [(7, 8, 13), (255, 192, 185), (179, 246, 192), (252, 224, 148)]
    + [(166, 219, 255), (255, 202, 255), (140, 248, 247), (238, 241, 248)],
)
FILE = '''"""Stock of a small shop."""

import json
import os
from dataclasses import dataclass


@dataclass
class Item:
    name: str
    price: float
    quantity: int = 0


class Inventory:
    def __init__(self, path):
        self.path = path
        self.items = {}

    def save(self):
        with open(self.path, "w") as f:
'''
TYPED = "Gojson."
LOOK = """
vim.o.termguicolors = true
vim.o.number = true
vim.o.laststatus = 2
vim.o.statusline = ' %f  %=Inkling: demo model, on this machine '
vim.api.nvim_set_hl(0, 'ComplHint', { fg = '#9aa0b5', italic = true })
"""


def picture_of_neovim(folder: Path) -> None:
    """Type in a Neovim inside tmux until ghost text stands; save the screen as SVG."""
    file = folder / "inventory.py"
    file.write_text(FILE)
    init = write_init(folder)
    init.write_text(init.read_text() + LOOK)
    tmux = ["tmux", "-L", f"inkling-{os.getpid()}", "-f", "/dev/null"]
    command = f"{find_neovim()} -u {init} {file.name}"
    variables = {**environment(folder), "COLORTERM": "truecolor", "TERM": "tmux-256color"}
    size = ["-x", str(WIDTH), "-y", str(HEIGHT)]
    subprocess.run(
        [*tmux, "new-session", "-d", "-s", "n", *size, command],
        env=variables,
        cwd=folder,
        check=True,
    )
    try:
        time.sleep(8)  # the engine loads
        for key in TYPED:
            subprocess.run([*tmux, "send-keys", "-t", "n", "-l", key], check=True)
            time.sleep(0.3)
        time.sleep(3)
        screen = subprocess.run(
            [*tmux, "capture-pane", "-e", "-p", "-t", "n"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    finally:
        subprocess.run([*tmux, "kill-server"], check=True)
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(screen.rstrip("\n")), soft_wrap=True)
    svg = console.export_svg(title="inventory.py", theme=THEME)
    # No fonts from elsewhere: the reader's own monospace will do.
    svg = re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL)
    svg = re.sub(r"font-family: [^;]+;", "font-family: monospace;", svg)
    (HERE / "neovim.svg").write_text(svg)


def recording_of_demo(folder: Path) -> None:
    """What `make demo` prints."""
    ran = subprocess.run(
        [sys.executable, "-m", "inkling", "demo"],
        env=environment(folder),
        check=True,
        capture_output=True,
        text=True,
    )
    readme = ROOT / "README.md"
    before, _, rest = readme.read_text().partition("<!-- recording -->")
    _, _, after = rest.partition("<!-- end of recording -->")
    recording = f"<!-- recording -->\n```\n{ran.stdout.strip()}\n```\n<!-- end of recording -->"
    readme.write_text(before + recording + after)


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="ink-"))
    try:
        picture_of_neovim(folder)
        recording_of_demo(folder)
    finally:
        stop_engine(folder / "runtime")
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
