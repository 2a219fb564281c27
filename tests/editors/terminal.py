"""A program in a terminal under remote control, by tmux."""

import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path


class Terminal:
    """One program in a screen of 100 × 30 characters. It ends when the terminal is closed."""

    def __init__(self, command: list[str], folder: Path, environment: dict[str, str]) -> None:
        """`folder` takes the socket: keep its path short."""
        program = shutil.which("tmux")
        assert program is not None, "install tmux to run this test"
        self._tmux = [program, "-S", str(folder / "tmux.sock"), "-f", "/dev/null"]
        subprocess.run(
            [
                *self._tmux,
                "new-session",
                "-d",
                "-x",
                "100",
                "-y",
                "30",
                "-c",
                folder,
                "--",
                *command,
            ],
            env={**environment, "TERM": "xterm-256color"},
            check=True,
        )

    def type(self, text: str) -> None:
        """Type each character of `text`."""
        self._run("send-keys", "-l", "--", text)

    def press(self, *keys: str) -> None:
        """Press keys by tmux' names: `Enter`, `Escape`, `C-x`."""
        self._run("send-keys", "--", *keys)

    def screen(self) -> str:
        """What is to be seen now."""
        return self._run("capture-pane", "-p")

    def shows(self, text: str, seconds: float) -> bool:
        """Whether `text` is to be seen within that time."""
        deadline = time.monotonic() + seconds
        while text not in self.screen():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        return True

    def wait_for(self, text: str) -> None:
        """Wait until `text` is to be seen."""
        self.wait_until(lambda: text in self.screen(), repr(text))

    def wait_until(self, holds: Callable[[], bool], what: str, seconds: float = 30) -> None:
        """Poll `holds()`; fail with what was waited for, and the screen."""
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, f"no {what} after {seconds} s on\n{self.screen()}"
            time.sleep(0.1)

    def close(self) -> None:
        """End the program and the terminal."""
        subprocess.run([*self._tmux, "kill-server"], check=False, capture_output=True)

    def _run(self, *arguments: str) -> str:
        ran = subprocess.run(
            [*self._tmux, *arguments], check=True, capture_output=True, text=True, timeout=10
        )
        return ran.stdout
