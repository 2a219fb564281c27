"""The Lua of the Neovim plugin is formatted as stylua formats it."""

import difflib
import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.editors.neovim import CACHE, HERE, PLUGIN

pytestmark = [pytest.mark.editor, pytest.mark.timeout(120)]

STYLUA = "@johnnymorganz/stylua@2.5.2"
NUM_DIFF_LINES = 12


def stylua_folder() -> Path:
    """Where node finds stylua, installed on first use."""
    if shutil.which("npm") is None:
        pytest.skip("stylua is installed by npm, which is not here")
    folder = CACHE / "stylua" / STYLUA.rpartition("@")[2]
    # npm writes this file last: what was interrupted is installed again.
    if not (folder / "node_modules" / ".package-lock.json").exists():
        options = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        command = ["npm", "install", "--prefix", str(folder), *options, STYLUA]
        subprocess.run(command, check=True, stdout=sys.stderr)
    return folder


def formatted(sources: list[str]) -> list[str]:
    """Lua as stylua writes it with the plugin's stylua.toml."""
    options = tomllib.loads((PLUGIN / "stylua.toml").read_text())
    ran = subprocess.run(
        ["node", HERE / "stylua.mjs"],
        cwd=stylua_folder(),
        input=json.dumps({"options": options, "sources": sources}),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: list[str] = json.loads(ran.stdout)
    return found


def difference(name: str, before: str, after: str) -> str:
    """The first lines of what stylua would change."""
    lines = list(
        difflib.unified_diff(
            before.split("\n"), after.split("\n"), name, f"{name} by stylua", n=1, lineterm=""
        )
    )
    if len(lines) > NUM_DIFF_LINES:
        lines[NUM_DIFF_LINES:] = [f"... {len(lines) - NUM_DIFF_LINES} more lines"]
    return "\n".join(lines)


def test_the_plugin_is_formatted_by_stylua() -> None:
    files = sorted(PLUGIN.rglob("*.lua"))
    assert files
    sources = [file.read_bytes().decode() for file in files]  # with their line ends
    differences = [
        difference(str(file.relative_to(PLUGIN)), before, after)
        for file, before, after in zip(files, sources, formatted(sources), strict=True)
        if before != after
    ]
    assert not differences, "not as stylua formats it:\n\n" + "\n\n".join(differences)
