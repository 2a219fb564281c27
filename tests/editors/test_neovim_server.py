"""Server and engine that end, come back, or have a reason to be silent."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.editors.neovim import Neovim
from tests.processes import engine_pid

pytestmark = [pytest.mark.editor, pytest.mark.timeout(300)]

STUB = {"engine": {"model": "stub"}}
TEXT = "stub_value = compute(1, 2)"


def status(neovim: Neovim) -> dict[str, Any]:
    """What the server last said of itself."""
    found: dict[str, Any] = neovim.lua(
        "require('inkling.status').of(vim.lsp.get_clients({ name = 'inkling' })[1].id) or {}"
    )
    return dict(found)


def test_a_killed_engine_comes_back_with_the_next_keys(shared_folder: Path) -> None:
    with Neovim(shared_folder / "killed.py", shared_folder, STUB) as neovim:
        neovim.send("i")
        assert neovim.wait_for_ghost() == TEXT
        pid = engine_pid(shared_folder / "runtime")
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        neovim.send("<Esc>ox = 1<CR>")

        def is_back() -> bool:
            neovim.send("<Esc>S")
            time.sleep(0.5)
            return neovim.ghost() == TEXT

        neovim.wait_until(is_back, "ghost text of a new engine")
        assert engine_pid(shared_folder / "runtime") not in (None, pid)
        assert neovim.notices() == []


def test_a_killed_server_is_one_sentence_and_restart_starts_it(shared_folder: Path) -> None:
    with Neovim(shared_folder / "restarted.py", shared_folder, STUB) as neovim:
        neovim.send("i")
        neovim.wait_for(TEXT)
        process = "vim.fn.system({'pgrep', '-P', tostring(vim.uv.os_getpid())})"
        (pid,) = map(int, str(neovim.lua(process)).split()[:1])
        os.kill(pid, signal.SIGKILL)
        neovim.wait_for("")
        neovim.wait_until(lambda: len(neovim.notices()) == 1, "a sentence")
        assert "`:Inkling restart`" in neovim.notices()[0]
        neovim.send("abc<Esc>:Inkling restart<CR>")
        neovim.wait_until(lambda: neovim.lua("is_ready()") is True, "the server")
        neovim.send("S")
        neovim.wait_for(TEXT)
        neovim.send("<Esc>:Inkling restart<CR>")  # one that lives
        neovim.wait_until(lambda: neovim.lua("is_ready()") is False, "the old server's end")
        neovim.wait_until(lambda: neovim.lua("is_ready()") is True, "the new server")
        neovim.send("S")
        neovim.wait_for(TEXT)
        time.sleep(2.5)  # longer than the old server was given to end
        assert neovim.lua("is_ready()") is True
        assert len(neovim.notices()) == 1
        assert "E5108" not in neovim.messages()


@pytest.mark.parametrize(
    ("name", "settings", "reason"),
    [
        (".env", {}, "secret"),
        ("a.py", {"disabled_languages": ["python"]}, "disabled for python"),
        ("a.py", {"enabled": False}, "disabled"),
    ],
)
def test_a_silence_has_its_reason_in_the_statusline(
    shared_folder: Path, name: str, settings: dict[str, Any], reason: str
) -> None:
    file = shared_folder / name
    options = "filetypes = '*'"
    with Neovim(file, shared_folder, {**STUB, **settings}, options=options) as neovim:
        neovim.send("ix = ")
        statusline = "require('inkling').statusline()"
        neovim.wait_until(lambda: neovim.lua(statusline) == f"Inkling: {reason}", "the reason")
        assert neovim.ghost() == ""
        assert status(neovim)["reason"] == reason


def test_disable_pause_and_enable(shared_folder: Path) -> None:
    statusline = "require('inkling').statusline()"
    with Neovim(shared_folder / "paused.py", shared_folder, STUB) as neovim:
        neovim.send("i")
        neovim.wait_for(TEXT)
        assert "stub" in str(neovim.lua(statusline))
        for command, shown in (("disable", "disabled"), ("pause 30", "paused")):
            neovim.send(f"<Cmd>Inkling {command}<CR>")
            neovim.wait_for("")
            assert neovim.lua(statusline) == f"Inkling: {shown}"
            neovim.send("<Esc>S")
            neovim.send("<Cmd>Inkling enable<CR>")
            neovim.send("<Esc>S")
            neovim.wait_for(TEXT)
        neovim.send("<Cmd>Inkling pause 0.01<CR>")
        neovim.wait_for("")
        neovim.wait_until(lambda: "stub" in str(neovim.lua(statusline)), "the end of the pause")
        neovim.send("<Esc>S")
        neovim.wait_for(TEXT)


def test_a_program_that_is_not_there_is_one_sentence(shared_folder: Path) -> None:
    file = shared_folder / "missing.py"
    with Neovim(file, shared_folder, command=["no-such-program", "lsp"], wait=False) as neovim:
        neovim.send("ix = <Tab>1<Esc>")
        neovim.wait_until(lambda: neovim.lines() != [""], "the typed text")
        (notice,) = neovim.notices()
        assert notice.startswith("Inkling: `no-such-program` is not on PATH: install it with ")
        assert neovim.messages() == ""
