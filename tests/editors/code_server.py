"""code-server, which is VS Code's workbench and extension host, with our extension as users get it."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.editors.neovim import environment

ROOT = Path(__file__).resolve().parents[2]
EXTENSION = ROOT / "editors" / "vscode"
CACHE = ROOT / ".cache" / "vscode"

# What would move, ask or look things up by itself is off; completion is as it comes.
SETTINGS: dict[str, Any] = {
    "security.workspace.trust.enabled": False,
    "workbench.startupEditor": "none",
    "workbench.tips.enabled": False,
    "workbench.colorTheme": "Default Dark Modern",
    "telemetry.telemetryLevel": "off",
    "update.mode": "none",
    "extensions.autoUpdate": "off",
    "extensions.autoCheckUpdates": False,
    "extensions.ignoreRecommendations": True,
    "chat.disableAIFeatures": True,
    "workbench.secondarySideBar.defaultVisibility": "hidden",
    "editor.quickSuggestions": {"other": "off", "comments": "off", "strings": "off"},
    "editor.suggestOnTriggerCharacters": False,
    "editor.wordBasedSuggestions": "currentDocument",  # in the list, which only opens by hand
    "editor.autoClosingBrackets": "never",
    "editor.autoClosingQuotes": "never",
    "editor.minimap.enabled": False,
    "editor.accessibilitySupport": "off",
    "editor.hover.enabled": "off",
    "files.autoSave": "off",
    "git.enabled": False,
}


def installed() -> Path:
    """code-server, installed on first use."""
    if shutil.which("npm") is None:
        pytest.skip("VS Code is installed by npm, which is not here")
    installer = Path(__file__).with_name("install_vscode.sh")
    subprocess.run([str(installer), str(CACHE)], check=True, stdout=sys.stderr)
    return CACHE / "code-server"


def packaged() -> Path:
    """The extension as users get it, packed anew if its sources are newer."""
    package = EXTENSION / "dist" / "inkling.vsix"
    built_from = [*EXTENSION.glob("*.json"), *EXTENSION.glob("*.mjs"), *EXTENSION.glob("src/**/*")]
    if package.exists() and package.stat().st_mtime > max(
        path.stat().st_mtime for path in built_from
    ):
        return package
    run_npm("run", "package")
    return package


def run_npm(*arguments: str) -> None:
    """Run npm for the extension, with what its lock file names installed."""
    variables = {**os.environ, "PATH": f"{installed().parent / 'node-bin'}:{os.environ['PATH']}"}
    has = EXTENSION / "node_modules" / ".package-lock.json"
    wants = EXTENSION / "package-lock.json"
    fresh = has.exists() and has.stat().st_mtime >= wants.stat().st_mtime
    for command in [arguments] if fresh else [("ci",), arguments]:
        subprocess.run(
            ["npm", *command], cwd=EXTENSION, env=variables, check=True, stdout=sys.stderr
        )


class CodeServer:
    """One code-server with the extension; `folder` takes all its state.

    `machine` is what the machine says of the server: by itself, that it is this Python's.
    """

    def __init__(
        self,
        folder: Path,
        settings: dict[str, Any] | None = None,
        package: Path | None = None,
        machine: dict[str, Any] | None = None,
    ) -> None:
        data = folder / "data"
        _write(data / "User" / "settings.json", {**SETTINGS, **(settings or {})})
        # VS Code has the command, and no key for it.
        accept_line = {"key": "alt+down", "command": "editor.action.inlineSuggest.acceptNextLine"}
        _write(data / "User" / "keybindings.json", [accept_line])
        # What runs is the machine's to say, not the user's, who may sit at another.
        here = {"inkling.server.command": [sys.executable, "-m", "inkling"]}
        _write(data / "Machine" / "settings.json", here if machine is None else machine)
        (folder / "code-server.yaml").write_text("auth: none\ncert: false\n")
        self._program = [
            str(installed()),
            *("--config", str(folder / "code-server.yaml")),
            *("--user-data-dir", str(data)),
            *("--extensions-dir", str(folder / "extensions")),
        ]
        self._environment = {
            **environment(folder),
            # No gallery is asked for extensions.
            "EXTENSIONS_GALLERY": '{"serviceUrl":""}',
        }
        subprocess.run(
            [*self._program, "--install-extension", str(package or packaged())],
            env=self._environment,
            check=True,
            capture_output=True,
        )
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self._process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [
                *self._program,
                *("--auth", "none", "--bind-addr", f"127.0.0.1:{self.port}"),
                "--disable-telemetry",
                "--disable-update-check",
                "--disable-workspace-trust",
                "--disable-getting-started-override",
            ],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + 60
        while not _answers(self.port):
            assert time.monotonic() < deadline, "no code-server after 60 s"
            time.sleep(0.05)
        return process

    def language_servers(self) -> set[int]:
        """The pids of the language servers that run for this workbench."""
        found = set()
        for child in psutil.Process(self._process.pid).children(recursive=True):
            # One may end while it is looked at.
            with contextlib.suppress(psutil.NoSuchProcess):
                if child.cmdline()[-2:] == ["inkling", "lsp"]:
                    found.add(child.pid)
        return found

    def close(self) -> None:
        """End it and what it started; the engine is the caller's."""
        os.killpg(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


def _write(file: Path, value: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(value))


def _answers(port: int) -> bool:
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex(("127.0.0.1", port)) == 0
