"""The whole way in a real Neovim, with the real server, the real engine and the demo model."""

from pathlib import Path

import pytest

from tests.editors.neovim import Neovim

pytestmark = [pytest.mark.editor, pytest.mark.timeout(300)]

START = "import os\n\n\ndef file_size(path):\n"


def test_ghost_text_appears_tab_accepts_it_and_one_undo_takes_it_back(
    shared_folder: Path, each_neovim: Path
) -> None:
    file = shared_folder / "sizes.py"
    file.write_text(START)
    with Neovim(file, shared_folder, program=each_neovim) as neovim:
        neovim.send("Goreturn os.path.")  # Neovim indents by itself
        ghost = neovim.wait_for_ghost()
        neovim.send("<Tab>")
        wanted = f"{START}    return os.path.{ghost}"
        neovim.wait_until(lambda: "\n".join(neovim.lines()) == wanted, "the accepted text")
        assert neovim.cursor() == [len(neovim.lines()), len(neovim.lines()[-1])]
        neovim.send("<Esc>:w<CR>")
        neovim.wait_until(lambda: file.read_text() == f"{wanted}\n", "the saved file")
        assert neovim.ghost() == ""
        neovim.send("u")
        neovim.wait_until(lambda: neovim.lines()[-1] == "    return os.path.", "the undone text")
        assert neovim.notices() == []


def test_typing_through_never_blinks_and_accepting_doubles_nothing(
    shared_folder: Path, each_neovim: Path
) -> None:
    file = shared_folder / "é🎉.py"
    file.write_text(f"# é🎉\n{START}")
    with Neovim(file, shared_folder, program=each_neovim) as neovim:
        neovim.send("Goreturn os.path.")
        ghost = neovim.wait_for_ghost()
        neovim.watch()
        neovim.type_slowly(ghost[:5])
        assert neovim.frames() == [ghost[number:] for number in range(6)]
        neovim.send(ghost[5:7] + "<Tab>")
        wanted = f"    return os.path.{ghost}".split("\n")
        neovim.wait_until(lambda: neovim.lines()[-len(wanted) :] == wanted, "the accepted text")


def test_word_by_word_is_the_same_text_and_the_rest_never_blinks(
    shared_folder: Path, each_neovim: Path
) -> None:
    file = shared_folder / "words.py"
    file.write_text(START)
    with Neovim(file, shared_folder, program=each_neovim) as neovim:
        neovim.send("Goreturn os.path.")
        ghost = rest = neovim.wait_for_ghost()
        neovim.watch()
        while rest:
            before = "\n".join(neovim.lines())
            neovim.send("<M-Right>")
            neovim.wait_until(lambda: "\n".join(neovim.lines()) != before, "a word")  # noqa: B023
            taken = "\n".join(neovim.lines())[len(before) :]
            assert rest.startswith(taken)
            rest = rest[len(taken) :]
            if rest:
                neovim.wait_for(rest)
                assert "" not in neovim.frames()
        assert "\n".join(neovim.lines()) == f"{START}    return os.path.{ghost}"


def test_a_block_goes_in_line_by_line(shared_folder: Path, each_neovim: Path) -> None:
    file = shared_folder / "blocks.py"
    file.write_text("")
    with Neovim(file, shared_folder, program=each_neovim) as neovim:
        neovim.send("idef read_lines(path):")
        neovim.send("<CR>")
        ghost = neovim.wait_for_ghost()
        neovim.send("<M-Down>")
        first = ghost.split("\n")[0]
        neovim.wait_until(lambda: neovim.lines()[-1] == f"    {first}", "the first line")
        neovim.wait_until(lambda: neovim.ghost() == ghost[len(first) :], "the other lines")
        neovim.send("<Tab>")
        wanted = f"def read_lines(path):\n    {ghost}"
        neovim.wait_until(lambda: "\n".join(neovim.lines()) == wanted, "the block")
