"""Keys: what they do while ghost text is shown, and that they stay what they were while it is not."""

from pathlib import Path

import pytest

from tests.editors.neovim import Neovim
from tests.editors.neovim_server import COMPLETION, ScriptedServer

pytestmark = [pytest.mark.editor, pytest.mark.timeout(120)]


def test_tab_is_a_tab_where_nothing_is_shown(folder: Path, server: ScriptedServer) -> None:
    with Neovim(folder / "a.js", folder, command=server.command) as neovim:
        neovim.send("ix<Tab>y<Esc>")
        neovim.wait_until(lambda: neovim.lines() == ["x\ty"], "the typed tab")


def test_tab_keeps_the_mapping_it_had(folder: Path, server: ScriptedServer) -> None:
    before = (
        "vim.keymap.set('i', '<Tab>', function() return '[tab]' end, { expr = true })\n"
        "vim.keymap.set('i', '<M-Right>', '[word]')"
    )
    with Neovim(folder / "a.js", folder, command=server.command, before=before) as neovim:
        neovim.run("require('inkling').setup(require('inkling.options').current)")  # a second time
        neovim.send("i<Tab><M-Right>")
        neovim.wait_until(lambda: neovim.lines() == ["[tab][word]"], "both mappings")
        server.answer(server.newest(0, 11), "foo")
        neovim.wait_for("foo")
        neovim.send("<Tab>")
        neovim.wait_until(lambda: neovim.lines() == ["[tab][word]foo"], "the accepted text")


def test_accepting_from_an_expr_mapping_keeps_the_order_of_keys(
    folder: Path, server: ScriptedServer
) -> None:
    with Neovim(folder / "a.js", folder, command=server.command) as neovim:
        neovim.run(
            "vim.keymap.set('i', '<F2>', function()\n"
            "  return require('inkling').accept() and '' or '[nothing]'\n"
            "end, { expr = true })"
        )
        neovim.send("i")
        server.answer(server.newest(0, 0), "foo")
        neovim.wait_for("foo")
        neovim.send("<F2>x<F2>")
        neovim.wait_until(lambda: neovim.lines() == ["foox[nothing]"], "what was accepted, then x")


def test_tab_indents_where_the_text_begins_with_indentation(
    folder: Path, server: ScriptedServer
) -> None:
    file = folder / "a.py"
    file.write_text("if x:\n\n")
    with Neovim(file, folder, command=server.command) as neovim:
        neovim.send("ji")
        server.answer(server.newest(1, 0), "    foo()")
        neovim.wait_for("    foo()")
        neovim.send("<Tab>")  # the ftplugin's expandtab and shiftwidth
        neovim.wait_for("foo()")
        assert neovim.lines() == ["if x:", "    "]
        neovim.send("<Tab>")
        neovim.wait_until(lambda: neovim.lines() == ["if x:", "    foo()"], "the accepted text")


def test_tab_jumps_in_a_snippet(folder: Path, server: ScriptedServer) -> None:
    with Neovim(folder / "a.py", folder, command=server.command) as neovim:
        neovim.send("i")
        neovim.run("vim.snippet.expand('f($1, $2)$0')")
        neovim.send("a")
        server.answer(server.newest(0, 3), "bc")
        neovim.wait_for("bc")
        neovim.send("<Tab>b<Tab>")
        neovim.wait_until(lambda: neovim.lines() == ["f(a, b)"], "the snippet filled in")


def test_keys_can_be_others_or_none(folder: Path, server: ScriptedServer) -> None:
    options = "keys = { accept = '<C-y>', dismiss = false }"
    with Neovim(folder / "a.py", folder, command=server.command, options=options) as neovim:
        neovim.send("ix")
        server.answer(server.newest(0, 1), "foo")
        neovim.wait_for("foo")
        neovim.send("<C-]>")
        assert neovim.lua("vim.fn.maparg('<C-]>', 'i')") == ""
        neovim.send("<C-y>")
        neovim.wait_until(lambda: neovim.lines() == ["xfoo"], "the accepted text")


def test_a_key_asks_by_hand(folder: Path, server: ScriptedServer) -> None:
    with Neovim(folder / "a.py", folder, command=server.command) as neovim:
        neovim.send("i")
        server.newest(0, 0)
        neovim.send("<M-\\>")
        request = server.next(COMPLETION)
        assert request["params"]["context"] == {"triggerKind": 1}
        server.answer(request, "foo", "bar")
        neovim.wait_for("foo")


def test_ghost_text_hides_behind_a_menu_and_comes_back(
    folder: Path, server: ScriptedServer
) -> None:
    with Neovim(folder / "a.py", folder, command=server.command) as neovim:
        neovim.send("ifoobar foobaz fo")
        server.answer(server.newest(0, 16), "o = 1")
        neovim.wait_for("o = 1")
        neovim.send("<C-x><C-n>")
        neovim.wait_until(lambda: neovim.lua("vim.fn.pumvisible()") == 1, "the menu")
        neovim.wait_for("")
        neovim.send("<C-e>")
        server.answer(server.newest(0, 16), "o = 1")
        neovim.wait_for("o = 1")


def test_ghost_text_can_stay_beside_a_menu(folder: Path, server: ScriptedServer) -> None:
    options = "hide_when = function() return _G.is_open end"
    with Neovim(folder / "a.py", folder, command=server.command, options=options) as neovim:
        neovim.send("ifoobar foobaz fo")
        server.answer(server.newest(0, 16), "o = 1")
        neovim.wait_for("o = 1")
        neovim.send("<C-x><C-n><C-p>")  # the menu, with what was typed
        neovim.wait_until(lambda: neovim.lua("vim.fn.pumvisible()") == 1, "the menu")
        server.answer(server.newest(0, 16), "o = 1")
        neovim.wait_for("o = 1")
        # Another plugin's menu: it says when it opens and closes.
        neovim.run("_G.is_open = true; require('inkling').refresh()")
        assert neovim.ghost() == ""
        assert neovim.lua("require('inkling').is_visible()") is False
        neovim.run("_G.is_open = false; require('inkling').refresh()")
        assert neovim.ghost() == "o = 1"


def test_a_wrong_option_is_one_clear_error(folder: Path, server: ScriptedServer) -> None:
    with Neovim(folder / "a.py", folder, command=server.command) as neovim:
        tried = neovim.lua(
            "{ pcall(require('inkling').setup, { keys = { acept = 'x' } }),"
            " select(2, pcall(require('inkling').setup, { key = 'x' })) }"
        )
        assert tried[0] is False
        assert "keys.acept" in str(
            neovim.lua("select(2, pcall(require('inkling').setup, { keys = { acept = 'x' } }))")
        )
        assert "inkling-options" in tried[1]
