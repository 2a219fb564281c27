"""`:Inkling`, its pages and previews, and `:checkhealth inkling`."""

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from tests.editors.neovim import PLUGIN, Neovim
from tests.editors.neovim_server import COMPLETION, ScriptedServer

pytestmark = [pytest.mark.editor, pytest.mark.timeout(120)]
FUNCTION = 'def add(a, b):\n    """Add two numbers."""\n    return a + b\n'


@pytest.fixture
def neovim(server: ScriptedServer) -> Iterator[Neovim]:
    """An editor with a commented Python file."""
    file = server.folder / "a.py"
    file.write_text("import os\n# add two numbers\n")
    with Neovim(file, server.folder, command=server.command) as editor:
        yield editor


def floats(neovim: Neovim) -> list[str]:
    """The lines of the floating window, none if there is none."""
    found: list[str] = neovim.run(
        "for _, w in ipairs(vim.api.nvim_list_wins()) do "
        "if vim.api.nvim_win_get_config(w).relative ~= '' then "
        "return vim.api.nvim_buf_get_lines(vim.api.nvim_win_get_buf(w), 0, -1, false) end end "
        "return {}"
    )
    return list(found)


def edit_of(request: dict[str, Any]) -> dict[str, Any]:
    """A new import and a function below the comment, as the server would say it."""
    uri = request["params"]["textDocument"]["uri"]

    def at(line: int, text: str) -> dict[str, Any]:
        place = {"line": line, "character": 0}
        return {"range": {"start": place, "end": place}, "newText": text}

    return {"changes": {uri: [at(1, "import re\n"), at(2, FUNCTION)]}}


def test_a_function_is_previewed_and_goes_in_as_one_undo_step(
    neovim: Neovim, server: ScriptedServer
) -> None:
    before = neovim.lines()
    neovim.send("j:Inkling function<CR>")
    request = server.next("inkling/writeFunction")
    assert request["params"]["position"] == {"line": 1, "character": 0}
    neovim.wait_until(lambda: floats(neovim) == ["Writing the function …"], "the window")
    token = request["params"]["workDoneToken"]
    for value in ({"kind": "begin", "title": "T"}, {"kind": "report", "message": "3 lines"}):
        server.notify("$/progress", {"token": token, "value": value})
    neovim.wait_until(lambda: floats(neovim) == ["Writing the function … 3 lines"], "progress")
    edit = edit_of(request)
    server.respond(request, {"edit": edit, "text": FUNCTION, "message": ""})
    neovim.wait_until(lambda: floats(neovim) == FUNCTION.splitlines(), "the preview")
    neovim.send("<CR>")
    wanted = ["import os", "import re", "# add two numbers", *FUNCTION.splitlines()]
    neovim.wait_until(lambda: neovim.lines() == wanted, "the function")
    assert floats(neovim) == []
    neovim.send("u")
    neovim.wait_until(lambda: neovim.lines() == before, "the undone function")


@pytest.mark.parametrize("key", ["q", "<Esc>", "<C-w>w"])
def test_a_preview_can_be_discarded(neovim: Neovim, server: ScriptedServer, key: str) -> None:
    before = neovim.lines()
    neovim.send("j:Inkling function<CR>")
    request = server.next("inkling/writeFunction")
    server.respond(request, {"edit": edit_of(request), "text": FUNCTION, "message": ""})
    neovim.wait_until(lambda: floats(neovim) == FUNCTION.splitlines(), "the preview")
    neovim.send(key)
    neovim.wait_until(lambda: floats(neovim) == [], "the window's end")
    assert neovim.lines() == before


def test_a_function_that_is_still_written_is_cancelled(
    neovim: Neovim, server: ScriptedServer
) -> None:
    neovim.send("j:Inkling function<CR>")
    request = server.next("inkling/writeFunction")
    neovim.wait_until(lambda: floats(neovim) != [], "the window")
    neovim.send("q")
    assert server.next("$/cancelRequest")["params"]["id"] == request["id"]
    neovim.wait_until(lambda: floats(neovim) == [], "the window's end")
    server.fail(request)
    server.is_heard_by(neovim)
    assert neovim.notices() == []


def test_why_no_function_was_written_is_one_sentence(
    neovim: Neovim, server: ScriptedServer
) -> None:
    neovim.send(":Inkling function<CR>")
    request = server.next("inkling/writeFunction")
    server.respond(request, {"edit": None, "text": "", "message": "no function is described here."})
    neovim.wait_until(lambda: neovim.notices() != [], "the sentence")
    assert neovim.notices() == ["Inkling: no function is described here."]
    assert floats(neovim) == []


def test_a_function_for_an_older_text_is_not_inserted(
    neovim: Neovim, server: ScriptedServer
) -> None:
    neovim.send("j:Inkling function<CR>")
    request = server.next("inkling/writeFunction")
    server.respond(request, {"edit": edit_of(request), "text": FUNCTION, "message": ""})
    neovim.wait_until(lambda: floats(neovim) == FUNCTION.splitlines(), "the preview")
    neovim.run("vim.api.nvim_buf_set_lines(1, 0, 0, false, { 'new' })")
    neovim.send("<CR>")
    neovim.wait_until(lambda: neovim.notices() != [], "the sentence")
    assert neovim.notices()[0].startswith("Inkling: the file was edited meanwhile")
    assert len(neovim.lines()) == 3


@pytest.mark.parametrize("name", ["statistics", "trace"])
def test_pages_of_the_server(neovim: Neovim, server: ScriptedServer, name: str) -> None:
    for number in (1, 2):
        neovim.send(f":Inkling {name}<CR>")
        page = f"# Page {number}\n\ntext\n"
        server.respond(server.next(f"inkling/{name}"), {"text": page})
        wanted = [f"# Page {number}", "", "text"]
        neovim.wait_until(lambda: neovim.lines() == wanted, "the page")  # noqa: B023
    assert neovim.lua("#vim.api.nvim_list_wins()") == 2
    assert neovim.lua("vim.bo.modifiable") is False
    neovim.send("q")
    neovim.wait_until(lambda: neovim.lua("#vim.api.nvim_list_wins()") == 1, "the page's end")


def test_status_is_one_sentence(neovim: Neovim, server: ScriptedServer) -> None:
    neovim.send(":Inkling status<CR>")
    server.next("inkling/status")
    report = {"state": "ready", "model": "demo model", "kind": "demo", "where": "this machine"}
    counters = {"requests": 5, "accepted": 2}
    answer = {**report, "reason": "nothing to add", "counters": counters}
    server.respond(server.next("inkling/status"), answer)
    neovim.wait_until(lambda: neovim.notices() != [], "the sentence")
    assert neovim.notices() == [
        "Inkling: demo model, on this machine, ready, nothing to add, 5 requests, 2 accepted."
    ]


def test_the_engines_log_opens(neovim: Neovim, server: ScriptedServer) -> None:
    log = server.folder / "engine.log"
    log.write_text("a line\n")
    neovim.send(":Inkling log<CR>")
    server.next("inkling/status")
    server.respond(server.next("inkling/status"), {"log": str(log)})
    neovim.wait_until(lambda: neovim.lines() == ["a line"], "the log")


def test_a_server_without_a_page_says_so(neovim: Neovim, server: ScriptedServer) -> None:
    neovim.send(":Inkling trace<CR>")
    server.fail(server.next("inkling/trace"))
    neovim.wait_until(lambda: neovim.notices() != [], "the sentence")
    assert neovim.notices() == ["Inkling: the server does not answer `inkling/trace`; update it."]


def test_subcommands_are_completed_and_unknown_ones_told(neovim: Neovim) -> None:
    assert neovim.lua("vim.fn.getcompletion('Inkling ', 'cmdline')") == [
        *("complete", "disable", "enable", "function", "log", "pause", "restart"),
        *("snooze", "statistics", "status", "toggle", "trace"),
    ]
    assert neovim.lua("vim.fn.getcompletion('Inkling st', 'cmdline')") == ["statistics", "status"]
    assert neovim.lua("vim.fn.getcompletion('Inkling pause ', 'cmdline')") == []
    neovim.send(":Inkling nonsense<CR>:Inkling pause soon<CR>")
    neovim.wait_until(lambda: len(neovim.notices()) == 2, "both sentences")
    assert neovim.notices()[0].startswith("Inkling: there is no `:Inkling nonsense`, only ")
    assert neovim.notices()[1].startswith("Inkling: the minutes to pause must be a number above 0")


def test_complete_asks_by_hand(neovim: Neovim, server: ScriptedServer) -> None:
    neovim.send("A<Cmd>Inkling complete<CR>")
    request = server.next(COMPLETION)
    while request["params"]["context"]["triggerKind"] != 1:
        request = server.next(COMPLETION)
    server.answer(request, " more")
    neovim.wait_for(" more")


def test_checkhealth_tells_what_there_is(neovim: Neovim, server: ScriptedServer) -> None:
    neovim.run("vim.keymap.set('i', '<M-Down>', 'x', { desc = 'Move the line' })")
    neovim.run("_G.done = false; vim.schedule(function() vim.cmd.checkhealth('inkling') end)")
    server.next("inkling/status")
    report = {"state": "ready", "model": "demo model", "kind": "demo", "where": "this machine"}
    server.respond(server.next("inkling/status"), {**report, "reason": ""})
    neovim.wait_until(lambda: any("keys" in line for line in neovim.lines()), "the report")
    text = "\n".join(neovim.lines())
    assert "OK Neovim 0.1" in text
    assert "Server program: " in text
    assert "Model: demo model (demo, on this machine)" in text
    assert "accept: <Tab>" in text
    assert "accept_line: <M-Down> is taken by another mapping (Move the line)" in text


def test_the_help_has_its_tags(neovim: Neovim, server: ScriptedServer) -> None:
    plugin = server.folder / "plugin"
    shutil.copytree(PLUGIN / "doc", plugin / "doc")
    neovim.run(f"vim.cmd.helptags('{plugin}/doc')")
    neovim.run(f"vim.opt.runtimepath:prepend('{plugin}')")
    for tag in ("inkling", ":Inkling", "inkling-options", "inkling-menus", "hl-InklingGhost"):
        neovim.run(f"vim.cmd.help('{tag}')")
        assert neovim.lua("vim.fn.expand('%:t')") == "inkling.txt"
