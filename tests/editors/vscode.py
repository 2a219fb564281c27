"""A real VS Code workbench under remote control, for tests, benchmarks and pictures.

code-server serves it; Chromium shows it; Playwright types.
"""

import os
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from playwright.sync_api import Locator, Page, sync_playwright

from tests.editors.code_server import ROOT, CodeServer

PICTURES = ROOT / ".cache" / "editor-pictures"

CHROMIUM_OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

# In the page: what is drawn as ghost text, and a record of it frame by frame.
PROBE = Path(__file__).with_name("vscode_probe.js").read_text()


@dataclass(frozen=True)
class Frame:
    """What one painted frame held as ghost text; milliseconds on the page's own clock."""

    at: float
    ghost: str


class Workbench:
    """One workbench with one folder open, closed at the end of its `with`.

    `folder` takes all state, with a short path (sockets). `machine` is for CodeServer; with one, no server
    is waited for.
    """

    def __init__(
        self,
        folder: Path,
        settings: dict[str, Any] | None = None,
        package: Path | None = None,
        viewport: tuple[int, int] = (1100, 700),
        machine: dict[str, Any] | None = None,
    ) -> None:
        self.folder = folder
        self.workspace = folder / "w"
        self.workspace.mkdir(exist_ok=True)
        self._code_server = CodeServer(folder, settings, package, machine)
        self._playwright = sync_playwright().start()
        self._browser = self._playwright.chromium.launch(
            executable_path=shutil.which("chromium"), headless=True, args=CHROMIUM_OPTIONS
        )
        width, height = viewport
        self.page: Page = self._browser.new_page(
            viewport={"width": width, "height": height},
            permissions=["clipboard-read", "clipboard-write"],
        )
        self.page.set_default_timeout(30_000)
        self._console: list[str] = []
        self.page.on("console", lambda message: self._console.append(message.text))
        try:
            self._show(is_set_up=machine is None)
        except BaseException:
            self.picture("start")
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _show(self, is_set_up: bool) -> None:
        self.page.add_init_script(PROBE)
        self.page.goto(f"http://127.0.0.1:{self._code_server.port}/?folder={self.workspace}")
        self.page.wait_for_selector(".monaco-workbench .explorer-folders-view")
        # What is typed before the server is there is completed with the next key only.
        said = "Model: " if is_set_up else "Click to set it up"
        self.wait_until(lambda: said in self.status(), "the server's status")
        # VS Code makes the part of an editor that asks for completions when it is idle or needed.
        self.open("first.txt", "")
        self.command("Trigger Inline Suggestion")
        self.close_editors()
        self.remove_files()

    def close(self) -> None:
        """End the browser, code-server and what it started; the engine is the caller's."""
        self._browser.close()
        self._playwright.stop()
        self._code_server.close()

    # Files and the editor.

    def open(self, name: str, text: str | None = None) -> Path:
        """Open a file of the workspace, with `text` as its new content; the cursor is at its end."""
        file = self.workspace / name
        if text is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(text.encode())
        self.press("Control+p")
        self._quick_input(str(file), file.name)
        self.wait_for_tab(file.name)
        self.page.wait_for_selector(".editor-group-container.active .editor-instance .view-lines")
        self.wait_until(self.has_focus, "the editor's focus")
        self.press("Control+End")
        return file

    def rename(self, old: str, new: str) -> Path:
        """Rename a file of the workspace in the explorer."""
        row = self.page.locator(".explorer-folders-view .monaco-list-row")
        row.filter(has_text=old).click()
        self.press("F2")
        self.page.locator(".explorer-folders-view .monaco-inputbox input").fill(new)
        self.press("Enter")
        row.filter(has_text=new).wait_for()
        return self.workspace / new

    def wait_for_tab(self, name: str) -> None:
        """Wait until the active editor is the one of that name."""
        tab = self.page.locator(".editor-group-container.active .tab.active")
        tab.get_by_text(name, exact=True).first.wait_for()

    def has_focus(self, group: int | None = None) -> bool:
        """Is a group's editor (None: the active one) where keys go?"""
        return bool(self.page.evaluate("index => probe.hasFocus(index)", group))

    def close_editors(self) -> None:
        """Throw away what is open, saved or not."""
        self.press("Escape")
        while self.page.locator(".tabs-container .tab").count():
            before = self.page.locator(".tabs-container .tab").count()
            self.command("View: Revert and Close Editor")
            self.wait_until(
                lambda before=before: (  # type: ignore[misc]
                    self.page.locator(".tabs-container .tab").count() < before
                ),
                "a closed editor",
            )

    def remove_files(self) -> None:
        """Empty the workspace: what one test leaves must be no context for the next."""
        for path in self.workspace.iterdir():
            path.unlink()

    def type(self, text: str, delay_ms: float = 30) -> None:
        """Type as a person does, key by key."""
        self.page.keyboard.type(text, delay=delay_ms)

    def press(self, *keys: str) -> None:
        """Press keys one after the other (`Tab`, `Control+ArrowRight`)."""
        for key in keys:
            self.page.keyboard.press(key)

    def command(self, title: str) -> None:
        """Run a command from the palette."""
        self.press("F1")
        self._quick_input(f">{title}", title)

    def _quick_input(self, text: str, label: str) -> None:
        """Fill the quick input that is about to open, and take the row with that label."""
        self.page.locator(".quick-input-widget input.input").fill(text)
        row = self.page.locator(".quick-input-list .monaco-list-row.focused")
        row.filter(has=self.page.get_by_text(label, exact=True)).wait_for()
        self.press("Enter")

    def save(self, file: Path) -> str:
        """Save the active editor; the file's text."""
        self.press("Control+s")
        self.page.wait_for_selector(".editor-group-container.active .tab.active:not(.dirty)")
        return file.read_bytes().decode()

    def lines(self, group: int | None = None) -> list[str]:
        """The visible real lines of a group's editor (None: the active one)."""
        found: list[str] = self.page.evaluate("index => probe.lines(index)", group)
        return found

    def whole_text(self) -> str:
        """All of the active editor, seen or not: by way of the clipboard."""
        self.press("Control+a", "Control+c")
        text = str(self.page.evaluate("navigator.clipboard.readText()"))
        return text.replace("\r\n", "\n")

    # Ghost text.

    def ghost(self, group: int | None = None) -> str:
        """The ghost text on screen now."""
        return str(self.page.evaluate("index => probe.ghost(index)", group))

    def wait_for_ghost(self) -> str:
        """Wait until ghost text stands still, and return it."""
        text = ""

        def stands_still() -> bool:
            nonlocal text
            before, text = text, self.ghost()
            time.sleep(0.5)
            return text != "" and text == before

        self.wait_until(stands_still, "ghost text that stands still")
        return text

    def watch(self) -> None:
        """Record ghost text in every painted frame from now on, and keys."""
        self.page.evaluate("probe.watch()")

    def frames(self) -> list[Frame]:
        """What was painted since `watch`: a frame for each change."""
        states: list[Frame] = []
        for at, ghost in self.page.evaluate("probe.frames"):
            if not states or states[-1].ghost != ghost:
                states.append(Frame(at, ghost))
        return states

    def keys(self) -> list[tuple[float, str]]:
        """When which key went down since `watch`."""
        return [(at, key) for at, key in self.page.evaluate("probe.keys")]

    # Around the editor.

    @property
    def status_item(self) -> Locator:
        """Inkling's item in the status bar."""
        return self.page.locator(".statusbar-item[id^='inkling']").first

    def status(self) -> str:
        """What the status bar item says, with what hovering over it shows."""
        return str(self.status_item.locator("a").get_attribute("aria-label"))

    def take_toasts(self) -> list[str]:
        """Every message that popped up since the last call."""
        found: list[str] = self.page.evaluate("[...probe.toasts]")
        self.page.evaluate("probe.toasts.clear()")
        return found

    def server_pids(self) -> set[int]:
        """The language servers that run for this workbench."""
        return self._code_server.language_servers()

    def kill_server(self) -> None:
        """End the language server as a crash would."""
        for pid in self.server_pids():
            os.kill(pid, signal.SIGKILL)

    def picture(self, name: str) -> Path:
        """A screenshot, kept with what the tests leave behind."""
        PICTURES.mkdir(parents=True, exist_ok=True)
        path = PICTURES / f"{name}.png"
        self.page.screenshot(path=path)
        return path

    def keep_logs(self, name: str) -> None:
        """Keep what the extension and its host wrote with the pictures."""
        PICTURES.mkdir(parents=True, exist_ok=True)
        self.command("Inkling: Show Log")
        self.press("Control+a")
        log = self.page.locator(".panel .view-lines .view-line").all_inner_texts()
        (PICTURES / f"{name}.log").write_text("\n".join([*log, "", "Console:", *self._console]))

    def wait_until(self, holds: Callable[[], bool], what: str, seconds: float = 60) -> None:
        """Poll `holds()`; fail with `what` was waited for."""
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, f"no {what} after {seconds} s"
            time.sleep(0.05)
