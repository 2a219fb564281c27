"""Texts that are hard to count or draw, and documents that change their place."""

from pathlib import Path

import pytest

from tests.editors.neovim import Neovim
from tests.editors.neovim_server import ScriptedServer

pytestmark = [pytest.mark.editor, pytest.mark.timeout(120)]


@pytest.mark.parametrize(("encoding", "column"), [("utf-8", 8), ("utf-16", 5), ("utf-32", 4)])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_positions_beyond_ascii_in_every_encoding(
    folder: Path, server: ScriptedServer, encoding: str, column: int, line_end: str
) -> None:
    server.capabilities["positionEncoding"] = encoding
    file = folder / "a.py"
    file.write_bytes(f"one{line_end}\té🎉ü{line_end}three{line_end}".encode())
    with Neovim(file, folder, command=server.command) as neovim:
        neovim.send("jA<BS>")
        neovim.send("x")
        server.answer(server.newest(1, column), "é🎉\n\tzü")
        neovim.wait_until(lambda: neovim.ghost().startswith("é🎉\n"), "ghost text")
        assert neovim.ghost() == "é🎉\n    zü"  # a tab is drawn as the blanks it stands for
        neovim.send("é<Tab>")
        wanted = ["one", "\té🎉xé🎉", "\tzü", "three"]
        neovim.wait_until(lambda: neovim.lines() == wanted, "the accepted text")
        assert neovim.cursor() == [3, len("\tzü".encode())]
        neovim.send("<Esc>:w<CR>")
        saved = "".join(line + line_end for line in wanted).encode()
        neovim.wait_until(lambda: file.read_bytes() == saved, "the saved file")


def test_a_block_before_a_bracket_shows_it_where_it_will_be(
    folder: Path, server: ScriptedServer
) -> None:
    file = folder / "a.py"
    file.write_text("f()\n")
    with Neovim(file, folder, command=server.command) as neovim:
        neovim.send("f)i")
        server.answer(server.newest(0, 2), "\n    a,\n")
        neovim.wait_for("\n    a,\n")
        neovim.run("vim.cmd.redraw()")
        rows = [
            neovim.lua(
                f"(vim.fn.screenstring({row}, 1)..vim.fn.screenstring({row}, 2)..vim.fn.screenstring({row}, 3))"
            )
            for row in (1, 3)
        ]
        assert rows == ["f( ", ")  "]
        neovim.send("<Tab>")
        neovim.wait_until(lambda: neovim.lines() == ["f(", "    a,", ")"], "the accepted text")


def test_two_windows_of_one_buffer(folder: Path, server: ScriptedServer) -> None:
    file = folder / "a.py"
    file.write_text("one\ntwo\n")
    with Neovim(file, folder, command=server.command) as neovim:
        neovim.send(":vsplit<CR>A")
        server.answer(server.newest(0, 3), " more")
        neovim.wait_for(" more")
        neovim.send("<C-o><C-w>w")
        neovim.wait_for("")
        neovim.send("<Esc>jA")
        server.answer(server.newest(1, 3), " else")
        neovim.wait_for(" else")
        neovim.send("<Tab>")
        neovim.wait_until(lambda: neovim.lines() == ["one", "two else"], "the accepted text")


@pytest.mark.parametrize("command", ["saveas b.py", "file b.py"])
def test_a_renamed_file_is_another_document(
    folder: Path, server: ScriptedServer, command: str
) -> None:
    file = folder / "a.py"
    file.write_text("one\n")
    with Neovim(file, folder, command=server.command) as neovim:
        server.next("textDocument/didOpen")
        neovim.send(f"Ax<Esc>:{command}<CR>A")
        assert server.next("textDocument/didClose")["params"]["textDocument"]["uri"].endswith(
            "a.py"
        )
        opened = server.next("textDocument/didOpen")["params"]["textDocument"]
        assert opened["uri"].endswith("b.py")
        assert opened["text"] == "onex\n"
        request = server.newest(0, 4)
        assert request["params"]["textDocument"]["uri"] == opened["uri"]
        server.answer(request, " more")
        neovim.wait_for(" more")
        opens = server.passed_over("textDocument/didOpen")
        assert len(opens) == 2


def test_a_refused_name_keeps_the_document(folder: Path, server: ScriptedServer) -> None:
    file = folder / "a.py"
    file.write_text("one\n")
    with Neovim(file, folder, command=server.command) as neovim:
        neovim.send(":split other.py<CR><C-w>w:silent! file other.py<CR>A")
        request = server.newest(0, 3)
        assert request["params"]["textDocument"]["uri"].endswith("a.py")
        server.answer(request, " more")
        neovim.wait_for(" more")


def test_a_closed_and_reopened_file(folder: Path, server: ScriptedServer) -> None:
    file = folder / "a.py"
    file.write_text("one\n")
    with Neovim(file, folder, command=server.command) as neovim:
        neovim.send("A")
        server.answer(server.newest(0, 3), " more")
        neovim.wait_for(" more")
        neovim.send("<Esc>:enew | bwipeout 1<CR>:edit a.py<CR>A")
        server.answer(server.newest(0, 3), " else")
        neovim.wait_for(" else")
