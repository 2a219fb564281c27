"""A real Neovim under remote control, for tests and for the README's picture."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PLUGIN = ROOT / "editors" / "neovim"
CACHE = ROOT / ".cache"
MIN_VERSION = (0, 12)
LANGUAGE_SERVER = [sys.executable, "-m", "inkling", "lsp"]

INIT = """
vim.o.swapfile = false
vim.g.loaded_python3_provider = 0 -- Looking for one takes seconds, and nothing here is written in Python.
vim.opt.runtimepath:append({plugin})
require('inkling').setup({{ cmd = {command}, settings = {settings}, {options} }})
"""

# What tests ask the editor, and how: a line of Lua in, a line of JSON out, on a socket of its own.
# `--remote-expr` starts a whole Neovim for each question.
PROBES = """
-- What is drawn as ghost text now, '' for nothing.
function _G.ghost()
  local namespace = vim.api.nvim_get_namespaces()['inkling']
  if not namespace then return '' end
  local text = ''
  for _, mark in ipairs(vim.api.nvim_buf_get_extmarks(0, namespace, 0, -1, { details = true })) do
    for _, part in ipairs(mark[4].virt_text or {}) do
      if part[2] == 'InklingGhost' then text = text .. part[1] end
    end
    for _, line in ipairs(mark[4].virt_lines or {}) do
      text = text .. '\\n'
      for _, part in ipairs(line) do
        if part[2] == 'InklingGhost' then text = text .. part[1] end
      end
    end
  end
  return text
end

function _G.is_ready()
  local client = vim.lsp.get_clients({ bufnr = 0, name = 'inkling' })[1]
  return client ~= nil and client.initialized == true
end

-- What the user is told.
_G.notices = {}
vim.notify = function(text) table.insert(_G.notices, text) end

-- The ghost text of each frame from now on, one entry for each change.
function _G.watch()
  _G.frames = {}
  local function note()
    local text = ghost()
    if frames[#frames] ~= text then table.insert(frames, text) end
  end
  note()
  local namespace = vim.api.nvim_create_namespace('test.frames')
  vim.api.nvim_set_decoration_provider(namespace, { on_start = note })
  if _G.sampler then _G.sampler:stop() end
  _G.sampler = vim.uv.new_timer()
  _G.sampler:start(0, 2, vim.schedule_wrap(note))
end

local function answer(question)
  local chunk, problem = load(question)
  if not chunk then return { error = problem } end
  local ok, value = pcall(chunk)
  return { error = not ok and tostring(value) or '', value = value }
end

local listener = vim.uv.new_pipe(false)
listener:bind(vim.env.NVIM_TEST_SOCKET)
listener:listen(8, function()
  local connection = vim.uv.new_pipe(false)
  listener:accept(connection)
  local received = ''
  connection:read_start(function(_, data)
    received = received .. (data or '')
    local line, rest = received:match('^(.-)\\n(.*)$')
    if not line then return end
    received = rest
    vim.schedule(function()
      connection:write(vim.json.encode(answer(vim.json.decode(line))) .. '\\n')
    end)
  end)
end)
"""


def find_neovim() -> Path:
    """Neovim 0.12 or newer: the one on PATH, else a private one, installed on first use."""
    on_path = shutil.which("nvim")
    if on_path is not None:
        version = subprocess.run([on_path, "--version"], capture_output=True, text=True, check=True)
        numbers = version.stdout.split("\n", 1)[0].removeprefix("NVIM v").split(".")
        if tuple(map(int, numbers[:2])) >= MIN_VERSION:
            return Path(on_path)
    return installed_from_debian("neovim", "nvim")


def find_oldest_neovim() -> Path:
    """The oldest Neovim that the plugin supports, installed on first use."""
    place = CACHE / "neovim-0.11"
    subprocess.run(
        [HERE / "install_oldest_neovim.sh", place],
        check=True,
        stdout=sys.stderr,
        env={**os.environ, "PYTHON": sys.executable},
    )
    return place / "bin" / "nvim"


def installed_from_debian(editor: str, program: str) -> Path:
    """A private editor out of a newer Debian suite, installed on first use."""
    place = CACHE / editor
    installer = HERE / "install_from_debian.sh"
    subprocess.run([installer, editor, place], check=True, stdout=sys.stderr)
    return place / "bin" / program


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


def write_init(
    folder: Path,
    settings: dict[str, Any] | None = None,
    command: list[str] | None = None,
    options: str = "",
) -> Path:
    """An init.lua with nothing in it but the plugin, as its README says.

    `options` is Lua: more fields for `setup`.
    """
    init = folder / "init.lua"
    init.write_text(
        INIT.format(
            plugin=json.dumps(str(PLUGIN)),
            command="{" + ", ".join(json.dumps(part) for part in command or LANGUAGE_SERVER) + "}",
            settings=f"vim.json.decode([[{json.dumps(settings)}]])" if settings else "{}",
            options=options,
        )
    )
    return init


class Neovim:
    """One headless Neovim with one file open, closed at the end of its `with`."""

    def __init__(
        self,
        file: Path,
        folder: Path,
        settings: dict[str, Any] | None = None,
        *,
        program: Path | None = None,
        command: list[str] | None = None,
        options: str = "",
        before: str = "",
        wait: bool = True,
    ) -> None:
        """`folder` takes the editor's state; keep its path short: sockets live in it.

        `command` starts another language server, `options` are more of the plugin's, and `before` is
        Lua that runs before the plugin. Without `wait` there may be no server at all.
        """
        path = folder / "ask.sock"
        path.unlink(missing_ok=True)
        init = write_init(folder, settings, command, options)
        init.write_text(f"{PROBES}\n{before}\n{init.read_text()}")
        self.log = folder / "nvim.log"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [str(program or find_neovim()), "--headless", "-u", str(init), str(file)],
                env={**environment(folder), "NVIM_TEST_SOCKET": str(path)},
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._answers = self._socket.makefile()
        try:
            self.wait_until(lambda: self._socket.connect_ex(str(path)) == 0, "its socket")
            self._socket.settimeout(30)
            self.wait_until(lambda: self.lua("vim.v.vim_did_enter") == 1, "its start")
            if wait:
                self.wait_until(lambda: self.lua("is_ready()") is True, "the language server")
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def send(self, keys: str) -> None:
        """Type `keys` (Neovim's notation: `<Tab>`, `<Esc>`), all at once."""
        self.run(f"vim.api.nvim_input({json.dumps(keys, ensure_ascii=False)})")

    def type_slowly(self, text: str) -> None:
        """Type `text` key by key, as a person does: each key is seen before the next."""
        for key in text:
            self.send({"<": "<lt>", "\n": "<CR>"}.get(key, key))
            self.lua("1")
            time.sleep(0.02)

    def lua(self, expression: str) -> Any:
        """The value of a Lua expression."""
        return self.run(f"return {expression}")

    def run(self, code: str) -> Any:
        """Run Lua and return what it returns."""
        self._socket.sendall(json.dumps(code).encode() + b"\n")
        answer = json.loads(self._answers.readline())
        assert not answer["error"], answer["error"]
        return answer.get("value")

    def ghost(self) -> str:
        """The ghost text on screen now."""
        return str(self.lua("ghost()"))

    def watch(self) -> None:
        """Note the ghost text of every frame from now on."""
        self.run("watch()")

    def frames(self) -> list[str]:
        """The ghost texts on screen since `watch`, one after the other."""
        found: list[str] = self.lua("frames")
        return found

    def lines(self) -> list[str]:
        """The buffer's lines."""
        found: list[str] = self.lua("vim.api.nvim_buf_get_lines(0, 0, -1, false)")
        return found

    def cursor(self) -> list[int]:
        """The cursor's line, from 1, and column in bytes, from 0."""
        found: list[int] = self.lua("vim.api.nvim_win_get_cursor(0)")
        return found

    def notices(self) -> list[str]:
        """What the user was told so far."""
        found: list[str] = self.lua("notices")
        return list(found)

    def messages(self) -> str:
        """Neovim's own messages, errors among them."""
        return str(self.lua("vim.fn.execute('messages')")).strip()

    def wait_for_ghost(self, still_s: float = 0.4) -> str:
        """Wait until ghost text stands still, and return it."""
        self.wait_until(lambda: self.ghost() != "", "ghost text")
        text, since = self.ghost(), time.monotonic()
        while time.monotonic() - since < still_s:
            time.sleep(0.02)
            if text != (text := self.ghost()):
                since = time.monotonic()
        return text

    def wait_for(self, ghost: str) -> None:
        """Wait until exactly this is the ghost text."""
        self.wait_until(lambda: self.ghost() == ghost, f"ghost text {ghost!r}", seconds=20)

    def wait_until(self, holds: Callable[[], bool], what: str, seconds: float = 60) -> None:
        """Poll `holds()`; fail with `what` was waited for."""
        deadline = time.monotonic() + seconds
        while not holds():
            assert self._process.poll() is None, f"Neovim ended while waiting for {what}"
            assert time.monotonic() < deadline, f"no {what} after {seconds} s"
            time.sleep(0.01)

    def close(self) -> None:
        """Quit without saving."""
        try:
            self.send("<C-\\><C-n>:qa!<CR>")
            self._process.wait(timeout=10)
        except (subprocess.TimeoutExpired, OSError, ValueError):
            self._process.kill()
            self._process.wait()
        finally:
            self._answers.close()
            self._socket.close()
