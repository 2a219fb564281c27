"""A real Neovim under remote control, for tests and for the README's picture."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = ROOT / "editors" / "neovim"
CACHE = ROOT / ".cache" / "neovim"
MIN_VERSION = (0, 12)

INIT = """
vim.o.swapfile = false
vim.opt.runtimepath:append({plugin})
require('inkling').setup({{ cmd = {command}, settings = {settings} }})

-- What is drawn as ghost text now, '' for nothing.
function _G.ghost()
  local namespace = vim.api.nvim_get_namespaces()['nvim.lsp.inline_completion']
  if not namespace then return '' end
  local text = ''
  for _, mark in ipairs(vim.api.nvim_buf_get_extmarks(0, namespace, 0, -1, {{ details = true }})) do
    for _, part in ipairs(mark[4].virt_text or {{}}) do text = text .. part[1] end
    for _, line in ipairs(mark[4].virt_lines or {{}}) do
      text = text .. '\\n'
      for _, part in ipairs(line) do text = text .. part[1] end
    end
  end
  return text
end

function _G.is_ready()
  local clients = vim.lsp.get_clients({{ bufnr = 0, method = 'textDocument/inlineCompletion' }})
  return #clients == 1 and clients[1].initialized == true
end
"""


def find_neovim() -> Path:
    """Neovim 0.12 or newer: the one on PATH, else a private one, installed on first use."""
    on_path = shutil.which("nvim")
    if on_path is not None:
        version = subprocess.run([on_path, "--version"], capture_output=True, text=True, check=True)
        numbers = version.stdout.split("\n", 1)[0].removeprefix("NVIM v").split(".")
        if tuple(map(int, numbers[:2])) >= MIN_VERSION:
            return Path(on_path)
    installer = Path(__file__).with_name("install_neovim.sh")
    subprocess.run([str(installer), str(CACHE)], check=True, stdout=sys.stderr)
    return CACHE / "bin" / "nvim"


def environment(folder: Path) -> dict[str, str]:
    """An environment in which the editor and all it starts keep to `folder`."""
    places = ("CONFIG", "DATA", "STATE", "CACHE", "RUNTIME")
    for place in places:
        (folder / place.lower()).mkdir(mode=0o700, exist_ok=True, parents=True)
    xdg = {
        f"XDG_{place}_{'DIR' if place == 'RUNTIME' else 'HOME'}": str(folder / place.lower())
        for place in places
    }
    return {**os.environ, **xdg, "INKLING_RUNTIME_DIR": str(folder / "runtime"), "LANG": "C.UTF-8"}


def write_init(folder: Path, settings: dict[str, Any] | None = None) -> Path:
    """An init.lua with nothing in it but the plugin, as its README says, and two probes."""
    command = [sys.executable, "-m", "inkling", "lsp"]
    init = folder / "init.lua"
    init.write_text(
        INIT.format(
            plugin=json.dumps(str(PLUGIN)),
            command="{" + ", ".join(json.dumps(part) for part in command) + "}",
            settings=f"vim.json.decode([[{json.dumps(settings)}]])" if settings else "{}",
        )
    )
    return init


class Neovim:
    """One headless Neovim with one file open."""

    def __init__(self, file: Path, folder: Path, settings: dict[str, Any] | None = None) -> None:
        """`folder` takes the editor's state; keep its path short: sockets live in it."""
        self._program = str(find_neovim())
        self._socket = str(folder / "nvim.sock")
        self._environment = environment(folder)
        init = write_init(folder, settings)
        self._process = subprocess.Popen(
            [self._program, "--headless", "-u", str(init), "--listen", self._socket, str(file)],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.wait_until(lambda: os.path.exists(self._socket), "its socket")
        self.wait_until(lambda: self.lua("is_ready()") is True, "the language server")

    def send(self, keys: str) -> None:
        """Type `keys` (Neovim's notation: `<Tab>`, `<Esc>`)."""
        self._remote("--remote-send", keys)

    def lua(self, expression: str) -> Any:
        """The value of a Lua expression."""
        found = self._remote("--remote-expr", f"json_encode(luaeval('{expression}'))")
        return json.loads(found) if found else None

    def ghost(self) -> str:
        """The ghost text on screen now."""
        return str(self.lua("ghost()"))

    def lines(self) -> list[str]:
        """The buffer's lines."""
        found: list[str] = self.lua("vim.api.nvim_buf_get_lines(0, 0, -1, false)")
        return found

    def wait_for_ghost(self) -> str:
        """Wait until ghost text stands still, and return it."""
        self.wait_until(lambda: self.ghost() != "", "ghost text")
        text = ""
        while text != (text := self.ghost()):
            time.sleep(0.4)
        return text

    def wait_until(self, holds: Any, what: str, seconds: float = 60) -> None:
        """Poll `holds()`; fail with `what` was waited for."""
        deadline = time.monotonic() + seconds
        while not holds():
            assert self._process.poll() is None, f"Neovim ended while waiting for {what}"
            assert time.monotonic() < deadline, f"no {what} after {seconds} s"
            time.sleep(0.1)

    def close(self) -> None:
        """Quit without saving."""
        self.send("<Esc>:qa!<CR>")
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _remote(self, *arguments: str) -> str:
        ran = subprocess.run(
            [self._program, "--server", self._socket, *arguments],
            env=self._environment,
            capture_output=True,
            check=False,
            text=True,
            timeout=30,
        )
        return ran.stdout.strip() or ran.stderr.strip()
