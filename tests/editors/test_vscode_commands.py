"""Inkling's status, menu, commands and settings in a real VS Code."""

import re
import time

import pytest

from tests.editors.vscode import Workbench

pytestmark = [pytest.mark.editor, pytest.mark.timeout(300)]

START = "import os\n\n\ndef file_size(path):\n    "
LINE = "return os.path."
DESCRIBED = 'import os\n\n\ndef file_size(path):\n    """Size of a file in bytes."""\n    ...'


def test_the_status_bar_names_the_model_and_where_it_runs(workbench: Workbench) -> None:
    workbench.open("status.py", START)
    workbench.type(LINE)
    workbench.wait_for_ghost()
    assert "Model: demo model" in workbench.status()
    assert "Runs on this machine." in workbench.status()
    assert workbench.status_item.inner_text().strip() == "Inkling (demo)"


def test_a_secret_file_shows_nothing_and_the_status_says_why(workbench: Workbench) -> None:
    workbench.open(".env", "PORT=80\nAPI_")
    workbench.type("KEY=")
    workbench.wait_until(lambda: "secret" in workbench.status(), "the reason in the status")
    assert workbench.ghost() == ""


def test_the_menu_of_the_status_bar_leads_to_the_commands(workbench: Workbench) -> None:
    workbench.open("menu.py", START)
    workbench.status_item.click()
    workbench.page.wait_for_selector(".quick-input-list .monaco-list-row")
    # The list draws only the rows in view.
    shown = " ".join(workbench.page.locator(".quick-input-list .label-name").all_inner_texts())
    for label in ("Pause", "Snooze", "Disable for python", "Show Log", "Open Trace"):
        assert label in shown
    workbench.picture("menu")
    workbench.press("Escape")


def test_nothing_is_shown_while_paused(workbench: Workbench) -> None:
    workbench.open("paused.py", START)
    workbench.command("Inkling: Pause")
    workbench.wait_until(lambda: "Paused" in workbench.status(), "the pause")
    workbench.watch()
    workbench.type(LINE)
    workbench.wait_until(lambda: "disabled" in workbench.status(), "the reason in the status")
    assert [frame.ghost for frame in workbench.frames()] == [""]
    workbench.command("Inkling: Resume")
    workbench.wait_until(lambda: "Paused" not in workbench.status(), "the end of the pause")
    workbench.press("Backspace")
    workbench.type(".")
    workbench.wait_for_ghost()


def test_a_language_is_switched_off_and_on_again(workbench: Workbench) -> None:
    workbench.open("language.py", START)
    workbench.command("Inkling: Disable for This Language")
    workbench.wait_until(lambda: "Off for python." in workbench.status(), "the language to be off")
    workbench.watch()
    workbench.type(LINE)
    workbench.wait_until(lambda: "disabled for python" in workbench.status(), "the reason")
    assert [frame.ghost for frame in workbench.frames()] == [""]
    workbench.command("Inkling: Enable for This Language")
    workbench.wait_until(lambda: "Off for" not in workbench.status(), "the language to be on")
    workbench.press("Backspace")
    workbench.type(".")
    workbench.wait_for_ghost()


def test_a_restarted_server_goes_on(workbench: Workbench) -> None:
    file = workbench.open("restarted.py", START)
    workbench.type("return os.")
    before = workbench.server_pids()
    workbench.command("Inkling: Restart Server")
    workbench.wait_until(
        lambda: bool(workbench.server_pids()) and not before & workbench.server_pids(),
        "another server",
    )
    workbench.wait_until(lambda: "Model: " in workbench.status(), "the server's status")
    workbench.type("path.")
    ghost = workbench.wait_for_ghost()
    workbench.press("Tab")
    assert workbench.save(file) == START + LINE + ghost


def test_a_killed_server_is_started_again(workbench: Workbench) -> None:
    file = workbench.open("killed.py", START)
    workbench.type(LINE)
    before = workbench.server_pids()
    workbench.kill_server()
    workbench.wait_until(
        lambda: bool(workbench.server_pids()) and not before & workbench.server_pids(),
        "another server",
    )

    def asked_again() -> bool:
        workbench.press("Backspace")
        workbench.type(".")
        time.sleep(0.5)
        return workbench.ghost() != ""

    workbench.wait_until(asked_again, "ghost text of the new server")
    ghost = workbench.wait_for_ghost()
    workbench.press("Tab")
    assert workbench.save(file) == START + LINE + ghost


def test_the_trace_holds_the_last_prompt(workbench: Workbench) -> None:
    workbench.open("traced.py", START)
    workbench.type(LINE)
    ghost = workbench.wait_for_ghost()
    workbench.command("Inkling: Open Trace")
    workbench.wait_for_tab("Inkling Trace.md")
    workbench.wait_until(lambda: any(workbench.lines()), "the page")
    workbench.picture("trace")
    page = workbench.whole_text()
    assert "file_size" in page
    assert ghost in page


def test_the_statistics_count_what_was_accepted(workbench: Workbench) -> None:
    workbench.open("counted.py", START)
    workbench.type(LINE)
    workbench.wait_for_ghost()
    workbench.press("Tab")
    workbench.command("Inkling: Show Statistics")
    workbench.wait_for_tab("Inkling Statistics.md")
    workbench.wait_until(lambda: any(workbench.lines()), "the page")
    workbench.picture("statistics")
    assert re.search(r"[1-9]", workbench.whole_text())


def test_a_function_is_previewed_inserted_and_undone_in_one_step(workbench: Workbench) -> None:
    file = workbench.open("described.py", DESCRIBED)
    workbench.command("Inkling: Write Function From Comment")
    insert = workbench.page.get_by_role("button", name="Insert", exact=True)
    insert.wait_for()
    workbench.picture("proposal")
    assert file.read_text() == DESCRIBED
    insert.click()
    workbench.wait_for_tab("described.py")
    workbench.wait_until(lambda: workbench.lines() != DESCRIBED.split("\n"), "the function")
    written = workbench.save(file)
    assert written.startswith(DESCRIBED.removesuffix("..."))
    assert len(written) > len(DESCRIBED)
    workbench.press("Control+z")
    assert workbench.save(file) == DESCRIBED
    *progress, done = workbench.take_toasts()
    assert progress
    assert all("writing a function" in it for it in progress)
    assert done == "Inkling has written a function."


def test_a_discarded_function_leaves_the_file_alone(workbench: Workbench) -> None:
    file = workbench.open("discarded.py", DESCRIBED)
    workbench.command("Inkling: Write Function From Comment")
    discard = workbench.page.get_by_role("button", name="Discard", exact=True)
    discard.click()
    workbench.wait_for_tab("discarded.py")
    assert workbench.lines() == DESCRIBED.split("\n")
    assert file.read_text() == DESCRIBED
    progress = workbench.page.locator(".notification-toast")
    workbench.wait_until(lambda: progress.count() == 0, "the end of the progress")
    workbench.take_toasts()
