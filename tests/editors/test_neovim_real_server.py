"""What `:Inkling` shows and inserts, from the real server and the demo model."""

from pathlib import Path

import pytest

from tests.editors.neovim import Neovim

pytestmark = [pytest.mark.editor, pytest.mark.timeout(300)]

TOKEN = "ghp_" + "a1B2" * 9
START = f'import os\n\nTOKEN = "{TOKEN}"\n\n\ndef file_size(path):\n'
DESCRIBED = 'import os\n\n\ndef file_size(path):\n    """Size of a file in bytes."""\n    ...\n'


def test_the_pages_tell_what_was_sent_and_what_was_accepted(shared_folder: Path) -> None:
    file = shared_folder / "sizes.py"
    file.write_text(START)
    with Neovim(file, shared_folder) as neovim:
        neovim.send("Goreturn os.path.")
        neovim.wait_for_ghost()
        neovim.send("<Tab><Esc>:Inkling trace<CR>")
        neovim.wait_until(lambda: neovim.lines()[0] == "# What was sent", "the trace")
        trace = "\n".join(neovim.lines())
        assert "this machine" in trace
        assert "def file_size(path):" in trace
        assert "<redacted>" in trace
        assert TOKEN not in trace

        def is_counted() -> bool:
            neovim.send("<Esc>:close<CR>:Inkling statistics<CR>")
            neovim.wait_until(lambda: "completions" in neovim.lines()[0], "the statistics")
            return any(line.startswith("| python | ") for line in neovim.lines())

        neovim.wait_until(is_counted, "a row of Python")
        (row,) = (line for line in neovim.lines() if line.startswith("| python | "))
        assert " | 1 (" in row


def test_a_function_is_written_shown_inserted_and_undone(shared_folder: Path) -> None:
    file = shared_folder / "described.py"
    file.write_text(DESCRIBED)
    with Neovim(file, shared_folder) as neovim:
        neovim.send("G:Inkling function<CR>")
        window = "vim.api.nvim_win_get_config(0).relative"
        neovim.wait_until(lambda: neovim.lua(window) != "", "the preview")
        neovim.wait_until(lambda: "return" in "".join(neovim.lines()), "the function")
        preview = neovim.lines()
        neovim.send("<CR>")
        neovim.wait_until(lambda: neovim.lua(window) == "", "the document")
        neovim.wait_until(lambda: "..." not in "".join(neovim.lines()), "the inserted function")
        assert neovim.lines()[5:] == preview
        neovim.send("u")
        neovim.wait_until(lambda: neovim.lines() == DESCRIBED.splitlines(), "the undone function")
