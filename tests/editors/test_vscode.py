"""Ghost text in a real VS Code, with the real extension, server, engine and demo model."""

import itertools
import os
import signal
import time

import pytest

from tests.editors.vscode import Workbench
from tests.processes import engine_pid

pytestmark = [pytest.mark.editor, pytest.mark.timeout(300)]

START = "import os\n\n\ndef file_size(path):\n    "
LINE = "return os.path."
BLOCK = "class User:\n    def __init__(self, name, email, age):"
INDENT = "\n        "


def test_ghost_text_appears_tab_accepts_it_and_the_file_is_right(workbench: Workbench) -> None:
    file = workbench.open("sizes.py", START)
    workbench.type(LINE)
    ghost = workbench.wait_for_ghost()
    workbench.press("Tab")
    assert workbench.save(file) == START + LINE + ghost
    assert workbench.ghost() != ghost


def test_typing_through_shrinks_the_text_and_no_frame_is_empty(workbench: Workbench) -> None:
    file = workbench.open("through.py", START)
    workbench.type(LINE)
    ghost = workbench.wait_for_ghost()
    workbench.watch()
    workbench.type(ghost[:5], delay_ms=90)
    workbench.wait_until(lambda: workbench.ghost() == ghost[5:], "the rest of the ghost text")
    shown = [frame.ghost for frame in workbench.frames()]
    assert "" not in shown
    # A busy machine paints two keys in one frame, but never out of order.
    assert shown == sorted((ghost[-len(rest) :] for rest in shown), key=len, reverse=True)
    workbench.press("Tab")
    assert workbench.save(file) == START + LINE + ghost


def test_accepting_right_after_typing_through_doubles_nothing(workbench: Workbench) -> None:
    file = workbench.open("at_once.py", START)
    workbench.type(LINE)
    ghost = workbench.wait_for_ghost()
    workbench.type(ghost[:2], delay_ms=0)
    workbench.press("Tab")
    assert workbench.save(file) == START + LINE + ghost


def test_accepting_a_word_keeps_the_rest(workbench: Workbench) -> None:
    file = workbench.open("words.py", START)
    workbench.type(LINE)
    ghost = workbench.wait_for_ghost()
    workbench.watch()
    workbench.press("Control+ArrowRight")
    workbench.wait_until(lambda: workbench.ghost() != ghost, "the accepted word")
    rest = workbench.wait_for_ghost()
    assert ghost.endswith(rest)
    assert "" not in [frame.ghost for frame in workbench.frames()]
    assert workbench.save(file) == START + LINE + ghost.removesuffix(rest)


def test_accepting_a_line_of_a_block_keeps_the_further_lines(workbench: Workbench) -> None:
    file = workbench.open("lines.py", BLOCK)
    workbench.press("Enter")
    ghost = workbench.wait_for_ghost()
    first, _, further = ghost.partition("\n")
    assert further
    workbench.press("Alt+ArrowDown")
    workbench.wait_until(lambda: workbench.ghost() != ghost, "the accepted line")
    rest = workbench.wait_for_ghost()
    assert further.strip().endswith(rest.strip())
    assert BLOCK + INDENT + first in workbench.save(file)


def test_a_block_grows_line_by_line_and_is_accepted_whole(workbench: Workbench) -> None:
    file = workbench.open("block.py", BLOCK)
    workbench.watch()
    workbench.press("Enter")
    ghost = workbench.wait_for_ghost()
    assert "\n" in ghost
    shown = [frame.ghost for frame in workbench.frames()][1:]
    assert shown[0] == ghost.split("\n")[0]
    assert all(later.startswith(sooner) for sooner, later in itertools.pairwise(shown))
    workbench.press("Tab")
    assert workbench.save(file) == BLOCK + INDENT + ghost


def test_a_block_is_shown_to_its_end_whenever_its_lines_come(workbench: Workbench) -> None:
    shown = set()
    for number in range(6):
        workbench.open(f"whole{number}.py", BLOCK)
        workbench.press("Enter")
        shown.add(workbench.wait_for_ghost())
        workbench.close_editors()
        workbench.remove_files()
    assert len(shown) == 1


def test_a_block_that_has_grown_is_typed_through_whole(workbench: Workbench) -> None:
    file = workbench.open("grown.py", BLOCK)
    workbench.press("Enter")
    ghost = workbench.wait_for_ghost()
    assert "\n" in ghost
    workbench.watch()
    workbench.type(ghost[:4], delay_ms=90)
    workbench.wait_until(lambda: workbench.ghost() == ghost[4:], "the rest of the ghost text")
    assert all(ghost.endswith(frame.ghost) and frame.ghost for frame in workbench.frames())
    workbench.press("Tab")
    assert workbench.save(file) == BLOCK + INDENT + ghost


def test_escape_dismisses(workbench: Workbench) -> None:
    file = workbench.open("escape.py", START)
    workbench.type(LINE)
    workbench.wait_for_ghost()
    workbench.press("Escape")
    workbench.wait_until(lambda: workbench.ghost() == "", "the dismissed text to go")
    assert workbench.save(file) == START + LINE


def test_tab_indents_where_nothing_is_shown(workbench: Workbench) -> None:
    file = workbench.open("tab.py", START)
    workbench.type(LINE)
    workbench.wait_for_ghost()
    workbench.press("Escape", "Home", "Tab")
    assert workbench.save(file) == START + "    " + LINE


def test_after_backspace_the_text_fits_what_is_left(workbench: Workbench) -> None:
    file = workbench.open("backspace.py", START)
    workbench.type(LINE)
    workbench.wait_for_ghost()
    workbench.press("Backspace")
    workbench.type(".")
    ghost = workbench.wait_for_ghost()
    workbench.press("Tab")
    assert workbench.save(file) == START + LINE + ghost


def test_one_undo_takes_back_what_was_accepted(workbench: Workbench) -> None:
    file = workbench.open("undo.py", START)
    workbench.type(LINE)
    workbench.wait_for_ghost()
    workbench.press("Tab")
    workbench.press("Control+z")
    assert workbench.save(file) == START + LINE


def test_beside_the_list_of_suggestions_the_text_goes_on_from_the_chosen_one(
    workbench: Workbench,
) -> None:
    text = "def mean_weight(a):\n    pass\n\n\ndef mean_length(b):\n    pass\n\n\nprint(mean_"
    file = workbench.open("suggestions.py", text)
    workbench.press("Control+Space")
    row = workbench.page.locator(".suggest-widget.visible .monaco-list-row.focused")
    row.filter(has_text="mean_length").wait_for()
    workbench.wait_until(lambda: workbench.ghost().startswith("length"), "the first suggestion")
    workbench.press("ArrowDown")
    row.filter(has_text="mean_weight").wait_for()
    workbench.wait_until(lambda: workbench.ghost().startswith("weight"), "the second suggestion")
    ghost = workbench.wait_for_ghost()
    assert ghost != "weight"
    workbench.picture("suggestions")
    workbench.press("Tab")  # takes the suggestion
    workbench.wait_until(lambda: workbench.ghost() == ghost.removeprefix("weight"), "the rest")
    workbench.press("Tab")
    assert workbench.save(file) == text + ghost


def test_asked_for_by_hand_there_are_alternatives_to_cycle_through(workbench: Workbench) -> None:
    file = workbench.open("alternatives.py", "def mean(values):\n    return ")
    workbench.command("Trigger Inline Suggestion")
    first = workbench.wait_for_ghost()
    workbench.press("Alt+]")
    workbench.wait_until(lambda: workbench.ghost() not in ("", first), "another text")
    second = workbench.wait_for_ghost()
    workbench.press("Alt+[")
    workbench.wait_until(lambda: workbench.ghost() == first, "the first text again")
    workbench.press("Alt+]")
    workbench.wait_until(lambda: workbench.ghost() == second, "the other text again")
    workbench.press("Tab")
    assert workbench.save(file).endswith(f"    return {second}")


def test_two_splits_of_a_file_show_one_text_at_the_active_cursor(workbench: Workbench) -> None:
    file = workbench.open("splits.py", START)
    workbench.press("Control+\\")
    workbench.wait_until(lambda: workbench.has_focus(group=1), "the second group's focus")
    # VS Code makes the part of a new editor that asks for completions when it is idle or needed.
    workbench.command("Trigger Inline Suggestion")
    workbench.press("Control+End")
    workbench.type(LINE)
    ghost = workbench.wait_for_ghost()
    assert (workbench.ghost(0), workbench.ghost(1)) == ("", ghost)
    workbench.press("Tab")
    whole = START + LINE + ghost
    workbench.wait_until(lambda: workbench.lines(0) == whole.split("\n"), "both to have it")
    assert workbench.save(file) == whole


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("unicode.py", 'import os\n\n\ndef file_size(path):\n    é = "🎉"; return os.path.'),
        ("é🎉.py", "import os\n\n# é🎉\ndef file_size(path):\n    return os.path."),
        ("tabs.py", "import os\n\n\ndef file_size(path):\n\treturn os.path."),
        ("crlf.py", "import os\r\n\r\n\r\ndef file_size(path):\r\n    return os.path."),
    ],
    ids=["in the line", "in the name", "tabs", "CRLF"],
)
def test_any_text_is_completed_in_place(workbench: Workbench, name: str, text: str) -> None:
    file = workbench.open(name, text[:-1])
    workbench.type(text[-1])
    ghost = workbench.wait_for_ghost()
    workbench.press("Tab")
    assert workbench.save(file) == text + ghost


def test_a_crlf_file_keeps_its_line_ends_in_a_block(workbench: Workbench) -> None:
    file = workbench.open("block_crlf.py", BLOCK.replace("\n", "\r\n"))
    workbench.press("Enter")
    ghost = workbench.wait_for_ghost()
    workbench.press("Tab")
    assert workbench.save(file) == (BLOCK + INDENT + ghost).replace("\n", "\r\n")


def test_a_renamed_file_goes_on_and_so_does_one_opened_again(workbench: Workbench) -> None:
    workbench.open("old_name.py", START)
    workbench.type("x")
    renamed = workbench.rename("old_name.py", "new_name.py")
    workbench.open("new_name.py")
    workbench.press("Backspace")
    workbench.type(LINE)
    workbench.wait_for_ghost()
    workbench.close_editors()
    workbench.open("new_name.py", START)
    workbench.type(LINE)
    ghost = workbench.wait_for_ghost()
    workbench.press("Tab")
    assert workbench.save(renamed) == START + LINE + ghost


def test_a_killed_engine_comes_back(workbench: Workbench) -> None:
    file = workbench.open("killed.py", START)
    workbench.type(LINE)
    workbench.wait_for_ghost()
    pid = engine_pid(workbench.folder / "runtime")
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    workbench.press("Escape", "Enter")
    other = "size = os.path."  # nothing that may have been written ahead
    workbench.type(other)

    def asked_again() -> bool:
        workbench.press("Backspace")
        workbench.type(".")
        time.sleep(0.5)
        return workbench.ghost() != ""

    workbench.wait_until(asked_again, "ghost text of a new engine")
    ghost = workbench.wait_for_ghost()
    assert engine_pid(workbench.folder / "runtime") not in (None, pid)
    workbench.press("Tab")
    assert workbench.save(file) == f"{START}{LINE}\n    {other}{ghost}"
