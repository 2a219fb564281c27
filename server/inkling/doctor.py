"""`inkling doctor`: what is there, what is missing, and what to do about it."""

import asyncio
import json
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from inkling import __version__
from inkling.client import EngineClient
from inkling.config import Settings, user_config_file
from inkling.errors import InklingError
from inkling.runtime import runtime_folder

PROBE_TIMEOUT_S = 60
MIN_NEOVIM = (0, 12)

# torch is only ever imported in the engine's process, or in one like it.
_TORCH_PROBE = """
import json, torch
cuda = torch.cuda.is_available()
free, total = torch.cuda.mem_get_info() if cuda else (0, 0)
print(json.dumps({
    "version": torch.__version__, "cuda": cuda, "free": free, "total": total,
    "name": torch.cuda.get_device_name() if cuda else "",
}))
"""


@dataclass(frozen=True)
class Finding:
    """One line of the report. `cure` says what to do, if anything; `is_fatal`: nothing works so;
    `is_there` is False for what is optional and missing."""

    name: str
    fact: str
    cure: str = ""
    is_fatal: bool = False
    is_there: bool = True

    @property
    def mark(self) -> str:
        if self.is_fatal:
            return "✗"
        if not self.is_there:
            return "–"
        return "!" if self.cure else "✓"


def report(settings: Settings) -> int:
    """Print every finding; return 1 if one of them keeps Inkling from completing."""
    found = list(findings(settings))
    width = max(len(finding.name) for finding in found)
    for finding in found:
        print(f"{finding.mark} {finding.name:<{width}}  {finding.fact}")
        if finding.cure:
            print(f"  {'':<{width}}  → {finding.cure}")
    return 1 if any(finding.is_fatal for finding in found) else 0


def findings(settings: Settings) -> Iterator[Finding]:
    """Look at each thing Inkling needs or can use."""
    yield Finding("inkling", f"{__version__} in {sys.prefix}")
    yield Finding("Python", platform.python_version())
    config = user_config_file()
    yield Finding("settings", f"{config}{'' if config.exists() else ' (not there: defaults)'}")
    torch = _torch()
    yield _torch_finding(torch)
    yield _gpu(torch)
    yield _model(settings, torch)
    yield _socket(settings)
    yield _engine(settings)
    yield _neovim()
    yield _vscode()


def _torch() -> dict[str, Any] | None:
    try:
        ran = subprocess.run(
            [sys.executable, "-c", _TORCH_PROBE],
            capture_output=True,
            check=True,
            timeout=PROBE_TIMEOUT_S,
        )
        found: dict[str, Any] = json.loads(ran.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return found


def _torch_finding(torch: dict[str, Any] | None) -> Finding:
    if torch is None:
        cure = 'pip install "inkling-lsp[engine]" (or attach to an engine that runs elsewhere here)'
        return Finding("torch", "not installed here", cure, is_fatal=True)
    return Finding("torch", str(torch["version"]))


def _gpu(torch: dict[str, Any] | None) -> Finding:
    if torch is not None and torch["cuda"]:
        gib = 2**30
        memory = f"{torch['free'] / gib:.1f} of {torch['total'] / gib:.1f} GiB free"
        return Finding("GPU", f"{torch['name']}, {memory}")
    if shutil.which("nvidia-smi"):
        return Finding(
            "GPU", "there, but torch cannot use it", "install a CUDA build of torch (see README)"
        )
    hint = "none needed for the demo model; gpt-oss-20b needs 16 GB of VRAM"
    return Finding("GPU", "none", hint, is_there=False)


def _model(settings: Settings, torch: dict[str, Any] | None) -> Finding:
    model = settings.engine.model
    demo = Path(str(files("inkling.models").joinpath("demo/config.json")))
    if model is None:
        if not demo.is_file():
            cure = "install inkling-lsp again: its package data is incomplete"
            return Finding("model", "the demo model's files are missing", cure, is_fatal=True)
        return Finding("model", "demo model (a demonstration, not gpt-oss-20b)")
    if model != "stub" and not (Path(model).expanduser() / "config.json").is_file():
        cure = (
            "set engine.model to the folder of an EXL2 checkpoint, or unset it for the demo model"
        )
        return Finding("model", f"{model} is no checkpoint", cure, is_fatal=True)
    has_gpu = torch is not None and torch["cuda"]
    if model != "stub" and not has_gpu and settings.engine.device != "cpu":
        cure = 'the demo model serves until there is a GPU; engine.device = "cpu" runs it slowly'
        return Finding("model", f"{model}, but no GPU", cure)
    return Finding("model", model)


def _socket(settings: Settings) -> Finding:
    try:
        folder = runtime_folder()
    except InklingError as error:
        return Finding("socket", "cannot be used", str(error), is_fatal=True)
    if settings.engine.transport == "tcp":
        return Finding("socket", f"loopback TCP; address and token in {folder / 'engine.json'}")
    return Finding("socket", str(folder / "engine.sock"))


def _engine(settings: Settings) -> Finding:
    async def ask() -> str:
        client = EngineClient(settings.engine, spawn=False)
        try:
            model = await client.model()
            return f"pid {model.pid}: {model.description} on {model.device}"
        finally:
            await client.aclose()

    try:
        return Finding("engine", asyncio.run(ask()))
    except InklingError:
        return Finding("engine", "not running (the first completion starts it)")


def _neovim() -> Finding:
    version = _first_line("nvim", "--version")
    if version is None:
        return Finding("Neovim", "not found", "install Neovim 0.12 or newer", is_there=False)
    numbers = version.removeprefix("NVIM v").split("-")[0].split(".")
    if tuple(int(number) for number in numbers[:2] if number.isdigit()) < MIN_NEOVIM:
        return Finding("Neovim", version, "inline completion needs Neovim 0.12 or newer")
    return Finding("Neovim", version)


def _vscode() -> Finding:
    version = _first_line("code", "--version")
    if version is None:
        return Finding("VS Code", "not found", is_there=False)
    return Finding("VS Code", version, "there is no client of ours for it yet")


def _first_line(*command: str) -> str | None:
    if shutil.which(command[0]) is None:
        return None
    try:
        ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return None
    return ran.stdout.split("\n", 1)[0]
