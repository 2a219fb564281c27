"""Answers that come late, in parts, twice or never: a scripted server says them, a real Neovim shows."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.editors.neovim import Neovim
from tests.editors.neovim_server import COMPLETION, ScriptedServer

pytestmark = [pytest.mark.editor, pytest.mark.timeout(120)]
Pair = tuple[Neovim, ScriptedServer]


@pytest.fixture
def pair(folder: Path, server: ScriptedServer, each_neovim: Path) -> Iterator[Pair]:
    """An editor with an empty Python file, and its server."""
    file = folder / "a.py"
    with Neovim(file, folder, program=each_neovim, command=server.command) as neovim:
        yield neovim, server


def test_one_key_makes_one_request_which_knows_the_text(pair: Pair) -> None:
    neovim, server = pair
    neovim.send("i")
    server.newest(0, 0)
    for number, key in enumerate("abc", 1):
        neovim.send(key)
        request = server.newest(0, number)
        assert request["params"]["context"] == {"triggerKind": 2}
    requests = server.passed_over(COMPLETION)
    assert [r["params"]["position"]["character"] for r in requests] == [0, 1, 2, 3]
    order = [m["method"] for m in server.received if m["method"] != "$/cancelRequest"]
    last_edit = len(order) - order[::-1].index("textDocument/didChange")
    assert order[last_edit] == COMPLETION  # the edit is there before the question about it


def test_a_superseded_answer_never_shows(pair: Pair) -> None:
    neovim, server = pair
    neovim.send("ix")
    old = server.newest(0, 1)
    neovim.send("y")
    new = server.newest(0, 2)
    neovim.watch()
    server.stream(old, "OLD PART")
    server.answer(old, "OLD")
    server.is_heard_by(neovim)
    server.answer(new, "new")
    neovim.wait_for("new")
    assert neovim.frames() == ["", "new"]
    assert any(m["params"]["id"] == old["id"] for m in server.passed_over("$/cancelRequest"))


def test_a_stream_only_grows_on_screen(pair: Pair) -> None:
    neovim, server = pair
    neovim.send("ix")
    request = server.newest(0, 1)
    neovim.watch()
    for text in ("a", "a\nb", "a\nb\nc"):
        server.stream(request, text)
        neovim.wait_for(text)
    server.answer(request, "a\nb\nc")
    server.is_heard_by(neovim)
    assert neovim.frames() == ["", "a", "a\nb", "a\nb\nc"]


def test_typing_through_shrinks_at_once_and_never_blinks(pair: Pair) -> None:
    neovim, server = pair
    neovim.send("ix")
    server.answer(server.newest(0, 1), "foo(1)")
    neovim.wait_for("foo(1)")
    neovim.watch()
    neovim.send("f")
    second = server.newest(0, 2)
    neovim.wait_for("oo(1)")  # though the server has not answered
    server.stream(second, "oo")  # less than is shown: the rest is on its way
    server.is_heard_by(neovim)
    assert neovim.ghost() == "oo(1)"
    server.answer(second, "oo(1)\nbar()")
    neovim.wait_for("oo(1)\nbar()")
    neovim.send("oo")
    server.newest(0, 4)
    neovim.wait_for("(1)\nbar()")
    assert "" not in neovim.frames()
    assert neovim.frames()[:3] == ["foo(1)", "oo(1)", "oo(1)\nbar()"]


def test_diverging_typing_clears_at_once(pair: Pair) -> None:
    neovim, server = pair
    neovim.send("ix")
    server.answer(server.newest(0, 1), "foo")
    neovim.wait_for("foo")
    neovim.send("z")
    server.newest(0, 2)
    neovim.wait_for("")


@pytest.mark.parametrize("nothing", [None, {"items": []}, "an error"])
def test_an_answer_without_items_clears(pair: Pair, nothing: object) -> None:
    neovim, server = pair
    neovim.send("ix")
    server.answer(server.newest(0, 1), "foo")
    neovim.wait_for("foo")
    neovim.send("f")
    request = server.newest(0, 2)
    if nothing == "an error":
        server.fail(request)
    else:
        server.respond(request, nothing)
    neovim.wait_for("")
    assert neovim.notices() == []


@pytest.mark.parametrize("keys", ["<Esc>", "<C-o>:enew!<CR>", "<C-o>:new<CR>", "<C-o>u", "<Left>"])
def test_nothing_lingers_where_the_text_is_left(pair: Pair, keys: str) -> None:
    neovim, server = pair
    neovim.send("ix")
    server.answer(server.newest(0, 1), "foo")
    neovim.wait_for("foo")
    buffer = neovim.lua("vim.api.nvim_get_current_buf()")
    neovim.send(keys)
    marks = (
        f"#vim.api.nvim_buf_get_extmarks({buffer}, "
        "vim.api.nvim_get_namespaces()['inkling'], 0, -1, {})"
    )
    neovim.wait_until(lambda: neovim.lua(marks) == 0, "an empty screen", seconds=10)


def test_an_answer_after_escape_never_shows(pair: Pair) -> None:
    neovim, server = pair
    neovim.send("ix")
    request = server.newest(0, 1)
    neovim.send("<Esc>")
    cancelled = server.next("$/cancelRequest")
    while cancelled["params"]["id"] != request["id"]:
        cancelled = server.next("$/cancelRequest")
    neovim.watch()
    server.stream(request, "late")
    server.answer(request, "late")
    server.is_heard_by(neovim)
    assert neovim.frames() == [""]


def test_typing_back_brings_the_text_back(pair: Pair) -> None:
    neovim, server = pair
    neovim.send("ix")
    server.answer(server.newest(0, 1), "foo")
    neovim.wait_for("foo")
    neovim.send("f")
    server.newest(0, 2)
    neovim.wait_for("oo")
    neovim.send("<BS>")
    server.newest(0, 1)
    neovim.wait_for("foo")


def test_a_bracket_closed_by_a_plugin_keeps_the_text(pair: Pair) -> None:
    neovim, server = pair
    neovim.send(":inoremap ( ()<C-v><Left><CR>ix")
    server.answer(server.newest(0, 1), "f(a, b)\n")
    neovim.wait_for("f(a, b)\n")
    neovim.watch()
    neovim.send("f(")
    server.newest(0, 3)
    neovim.wait_for("a, b")
    assert "" not in neovim.frames()


def test_accepting_right_behind_a_key_doubles_nothing(pair: Pair) -> None:
    neovim, server = pair
    neovim.send("ix")
    server.answer(server.newest(0, 1), "foo()")
    neovim.wait_for("foo()")
    neovim.send("f<Tab>!")  # Neovim sees no event between these keys
    neovim.wait_until(lambda: neovim.lines() == ["xfoo()!"], "the accepted text")


def test_accepting_tells_the_server_how_much(pair: Pair) -> None:
    neovim, server = pair
    neovim.send("ix")
    server.answer(server.newest(0, 1), "é🎉 b\nc d")
    neovim.wait_for("é🎉 b\nc d")
    neovim.watch()
    neovim.send("é")
    neovim.send("<M-Right>")
    neovim.wait_for(" b\nc d")
    neovim.send("<M-Down>")
    neovim.wait_for("\nc d")
    neovim.send("<M-Down>")
    neovim.wait_until(lambda: neovim.lines() == ["xé🎉 b", "c d"], "the accepted lines")
    told = [server.next("workspace/executeCommand")["params"] for _ in range(3)]
    assert [it["command"] for it in told] == ["inkling.accepted"] * 3
    assert [it["arguments"] for it in told] == [["id-1", 2], ["id-1", 4], ["id-1"]]
    assert neovim.cursor() == [2, 3]
    assert neovim.frames()[:4] == ["é🎉 b\nc d", "🎉 b\nc d", " b\nc d", "\nc d"]


def test_alternatives_are_asked_for_once_and_cycled(pair: Pair) -> None:
    neovim, server = pair
    neovim.send("ix")
    server.answer(server.newest(0, 1), "one")
    neovim.wait_for("one")
    neovim.send("<M-]>")
    request = server.newest(0, 1)
    assert request["params"]["context"] == {"triggerKind": 1}
    server.stream(request, "one", "two")
    server.answer(request, "one", "two", "three")
    neovim.wait_for("two")
    neovim.send("<M-]>")
    neovim.wait_for("three")
    neovim.send("<M-]>")
    neovim.wait_for("one")
    neovim.send("<M-[>")
    neovim.wait_for("three")
    neovim.send("t")
    server.answer(server.newest(0, 2), "wo", "hree")  # what is chosen stays chosen
    server.is_heard_by(neovim)
    assert neovim.ghost() == "hree"
    neovim.send("<Tab>")
    neovim.wait_until(lambda: neovim.lines() == ["xthree"], "the accepted text")
    assert server.next("workspace/executeCommand")["params"]["arguments"] == ["id-2"]


def test_a_dismissed_text_comes_back_with_the_next_key_only(pair: Pair) -> None:
    neovim, server = pair
    neovim.send("ix")
    server.answer(server.newest(0, 1), "foo")
    neovim.wait_for("foo")
    neovim.send("<C-]>")
    neovim.wait_for("")
    neovim.send("f")
    server.answer(server.newest(0, 2), "oo")
    neovim.wait_for("oo")


def test_other_plugins_see_no_progress_of_ours(pair: Pair) -> None:
    neovim, server = pair
    neovim.run(
        "_G.seen = 0; vim.api.nvim_create_autocmd('LspProgress', "
        "{ callback = function() seen = seen + 1 end })"
    )
    neovim.send("ix")
    request = server.newest(0, 1)
    server.stream(request, "a")
    neovim.wait_for("a")
    assert neovim.lua("seen") == 0
    server.notify("$/progress", {"token": "else", "value": {"kind": "begin", "title": "T"}})
    neovim.wait_until(lambda: neovim.lua("seen") == 1, "another's progress")


def test_the_client_says_that_it_draws_by_itself(pair: Pair) -> None:
    neovim, server = pair
    document = server.initialize["capabilities"]["textDocument"]
    assert "inlineCompletion" in document
    provider = "vim.lsp.get_clients()[1].server_capabilities.inlineCompletionProvider"
    assert neovim.lua(f"{provider} == nil") is True


def test_a_server_that_dies_costs_one_sentence_and_restart_brings_it_back(pair: Pair) -> None:
    neovim, server = pair
    neovim.send("ix")
    server.answer(server.newest(0, 1), "foo")
    neovim.wait_for("foo")
    server.die()
    neovim.wait_for("")
    neovim.wait_until(lambda: len(neovim.notices()) == 1, "a sentence")
    neovim.send("y<Esc>:Inkling restart<CR>")
    neovim.wait_until(lambda: neovim.lua("is_ready()") is True, "the new server")
    neovim.send("A")
    server.answer(server.newest(0, 2), "bar")
    neovim.wait_for("bar")
    assert neovim.notices() == [
        "Inkling: the server ended unexpectedly; `:Inkling restart` starts it again."
    ]
