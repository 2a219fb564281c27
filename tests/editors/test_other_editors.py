"""The configurations of docs/editors.md in the real editors, with the real server and engine."""

import ast
import os
import re
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import pytest

from tests.editors.neovim import environment, find_neovim, installed_from_debian
from tests.editors.terminal import Terminal

pytestmark = [pytest.mark.editor, pytest.mark.timeout(300)]

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs" / "editors.md"

# Nothing beside the file, and no compiler: a private Emacs has none that runs.
EMACS = """
(setq make-backup-files nil create-lockfiles nil auto-save-default nil inhibit-startup-screen t
      native-comp-enable-subr-trampolines nil native-comp-jit-compilation nil)
"""
# What a package manager does with an installed package.
LSP_MODE = """
(let ((default-directory "{packages}/")) (normal-top-level-add-subdirs-to-load-path))
(load "lsp-mode-autoloads")
(setq lsp-auto-guess-root t)
"""

# Nothing in the menu but Inkling's: Kate's keywords come first and alone until the server answers. And
# Kate asks before it starts a server.
KATE = """
[lspclient]
AllowedServerCommandLines={inkling} lsp

[KTextEditor View]
Keyword Completion=false
Word Completion=false
"""
# Keys of a US keyboard, by their numbers in Linux' input-event-codes.h.
KEYS = {"Escape": 1, "=": 13, "Tab": 15, "r": 19, "y": 21, "Enter": 28, "C": 29, "a": 30, "s": 31}
KEYS |= {"Space": 57, "Delete": 111}

Open = Callable[..., Terminal]


class Kate:
    """A Kate without a screen, with a keyboard of the test's own. Closed at the end of its `with`."""

    def __init__(self, file: Path, folder: Path, variables: dict[str, str]) -> None:
        keyboard, self._keys = os.pipe()
        with (folder / "kate.log").open("wb") as log:
            self._process = subprocess.Popen(
                [installed_from_debian("kate", "kate"), "--startanon", "--block", file],
                env={
                    **variables,
                    "QT_QPA_GENERIC_PLUGINS": f"evdevkeyboard:/dev/fd/{keyboard}",
                    "DBUS_SESSION_BUS_ADDRESS": f"unix:path={folder}/none",
                },
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[keyboard],
            )
        os.close(keyboard)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._keys)

    def press(self, *keys: str) -> None:
        """Press keys by their names in `KEYS`, `C-a` for Ctrl and `a`."""
        for key in keys:
            numbers = [KEYS[name] for name in key.split("-")]
            for number, down in [(each, 1) for each in numbers] + [(each, 0) for each in numbers]:
                event = struct.pack("llHHi", 0, 0, 1, number, down)
                os.write(self._keys, event + struct.pack("llHHi", 0, 0, 0, 0, 0))

    def becomes(self, file: Path, text: str, *keys: str, accepting: str) -> None:
        """Empty the file, press `keys` and accept, until what is saved is `text`.

        The menu is not seen here, so it gets one second, and each time one more.
        """
        for seconds in range(1, 8):
            self.press("Escape", "C-a", "Delete", *keys)
            time.sleep(seconds)
            self.press(accepting, "C-s")
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline:
                if file.read_text() == text:
                    return
                time.sleep(0.05)
        raise AssertionError(f"{file.read_text()!r} instead of {text!r}")


@pytest.fixture
def folder(folder: Path) -> Path:
    """A repository with `inkling` beside it."""
    (folder / ".git").mkdir()
    (folder / "bin").mkdir()
    (folder / "bin/inkling").symlink_to(Path(sys.executable).with_name("inkling"))
    return folder


def with_inkling(folder: Path, model: str = "stub") -> dict[str, str]:
    """An environment that has `inkling` on its PATH, with that model or the demo model."""
    variables = environment(folder)
    variables["PATH"] = os.pathsep.join([str(folder / "bin"), variables["PATH"]])
    variables["HOME"] = str(folder)
    if model:
        variables["INKLING_ENGINE__MODEL"] = model
    return variables


@pytest.fixture
def open_in(folder: Path) -> Iterator[Open]:
    """Start an editor that finds `inkling` on its PATH, with the stub or the demo model."""
    opened: list[Terminal] = []

    def start(*command: str | Path, model: str = "stub") -> Terminal:
        variables = with_inkling(folder, model)
        opened.append(Terminal([str(part) for part in command], folder, variables))
        return opened[-1]

    yield start
    for terminal in opened:
        terminal.close()


def documented(heading: str, language: str) -> str:
    """The first block of a section of docs/editors.md."""
    section = DOCS.read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    found = re.search(rf"```{language}\n(.*?)```", section, re.DOTALL)
    assert found is not None
    return found[1]


def write(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def type_until(terminal: Terminal, typed: str, shown: str) -> None:
    """Type, and the last character again every 3 s until `shown` is to be seen: what is typed before
    the server runs gets no request."""
    terminal.type(typed)
    for _ in range(10):
        if terminal.shows(shown, seconds=3):
            return
        terminal.press("BSpace")
        terminal.type(typed[-1])
    terminal.wait_for(shown)


def saved(terminal: Terminal, file: Path, text: str) -> None:
    """Wait until the file on disk is `text`."""
    terminal.wait_until(lambda: file.read_text() == text, f"{text!r} in {file.name}")


def test_helix_offers_the_text_in_its_menu(folder: Path, open_in: Open) -> None:
    write(folder / "config/helix/languages.toml", documented("Helix", "toml"))
    file = write(folder / "a.py", "x = 1\n")
    helix = open_in(installed_from_debian("helix", "hx"), file)
    helix.wait_for("NOR")
    helix.press("o")
    type_until(helix, "y = ", " compute(1, 2) text")  # at a trigger character
    helix.press("Tab")
    helix.wait_for("Inkling")
    helix.press("Enter", "Enter")
    type_until(helix, "resu", "resustub_value = compute(1, 2) text")  # within a word
    helix.press("Tab")
    helix.wait_for("Inkling")
    helix.press("Enter", "Escape")
    helix.type(":w")
    helix.press("Enter")
    saved(helix, file, "x = 1\ny = compute(1, 2)\nresustub_value = compute(1, 2)\n")


def test_helix_inserts_several_lines_of_the_demo_model_as_they_are(
    folder: Path, open_in: Open
) -> None:
    write(folder / "config/helix/languages.toml", documented("Helix", "toml"))
    start = "def add(first, second):\n    return first + second\n\n\ndef sub(first, second):\n"
    file = write(folder / "a.py", f"{start}\n")
    helix = open_in(installed_from_debian("helix", "hx"), file, model="")
    helix.wait_for("NOR")
    helix.press("g", "e", "i")
    type_until(helix, "    ", " text")
    helix.press("Tab")
    helix.wait_for("Inkling")
    helix.press("Enter", "Escape")
    helix.type(":w")
    helix.press("Enter")
    helix.wait_until(lambda: file.read_text() != f"{start}\n", "the saved file")
    text = file.read_text()
    assert text.startswith(f"{start}    ")
    [_, written] = ast.parse(text).body
    assert isinstance(written, ast.FunctionDef)
    assert isinstance(written.body[0], ast.Return)


def test_eglot_previews_the_text_and_asks_by_hand(folder: Path, open_in: Open) -> None:
    init = write(folder / "init.el", EMACS + documented("Emacs with eglot", "elisp"))
    file = write(folder / "a.py", "x = 1\n")
    emacs = open_in(installed_from_debian("emacs", "emacs"), "-nw", "-Q", "-l", init, file)
    emacs.wait_for("[eglot:")
    emacs.press("M->")
    emacs.type("y = ")
    emacs.press("C-M-i")
    emacs.wait_for("y = compute(1, 2)")
    emacs.press("Enter")
    type_until(emacs, "resu", "resustub_value = compute(1, 2)")
    emacs.press("C-x", "C-s")
    saved(emacs, file, "x = 1\ny = compute(1, 2)\nresu\n")  # only shown so far
    emacs.press("BSpace")
    type_until(emacs, "u", "resustub_value = compute(1, 2)")
    emacs.press("Tab", "C-x", "C-s")
    saved(emacs, file, "x = 1\ny = compute(1, 2)\nresustub_value = compute(1, 2)\n")


def test_lsp_mode_shows_ghost_text(folder: Path, open_in: Open) -> None:
    program = installed_from_debian("emacs", "emacs")
    packages = program.parents[1] / "root/usr/share/emacs/site-lisp/elpa-src"
    settings = LSP_MODE.format(packages=packages) + documented("Emacs with lsp-mode", "elisp")
    init = write(folder / "init.el", EMACS + settings)
    file = write(folder / "a.py", "x = 1\n")
    emacs = open_in(program, "-nw", "-Q", "-l", init, file)
    emacs.wait_for("LSP[inkling")
    emacs.press("M->")
    type_until(emacs, "y = ", "y = compute(1, 2)")
    emacs.press("C-x", "C-s")
    saved(emacs, file, "x = 1\ny = \n")  # only shown so far
    emacs.press("BSpace")
    type_until(emacs, " ", "y = compute(1, 2)")
    emacs.press("Tab", "C-x", "C-s")
    saved(emacs, file, "x = 1\ny = compute(1, 2)\n")


def test_neovim_without_plugin_shows_ghost_text(folder: Path, open_in: Open) -> None:
    init = write(folder / "init.lua", documented("Neovim without plugin", "lua"))
    file = write(folder / "a.py", "x = 1\n")
    neovim = open_in(find_neovim(), "-n", "-u", init, file)
    neovim.wait_for("x = 1")
    neovim.press("o")
    type_until(neovim, "y = ", "y = compute(1, 2)")
    neovim.press("Tab", "Escape")
    neovim.type(":w")
    neovim.press("Enter")
    saved(neovim, file, "x = 1\ny = compute(1, 2)\n")


def test_kate_offers_the_text_in_its_menu(folder: Path) -> None:
    write(folder / "config/kate/lspclient/settings.json", documented("Kate", "json"))
    write(folder / "config/katerc", KATE.format(inkling=folder / "bin/inkling"))
    file = write(folder / "a.py", "x = 1\n")
    with Kate(file, folder, with_inkling(folder)) as kate:
        # At a trigger character, within a word, and asked by hand.
        text = "stub_value = compute(1, 2)\n"
        kate.becomes(file, f"y ={text}", "y", "Space", "=", accepting="Tab")
        kate.becomes(file, f"r{text}", "r", accepting="Enter")
        kate.becomes(file, text, "C-Space", accepting="Enter")
