"""A function as the project's own formatter writes it, where the project has one.

The formatter gets the function alone, without its indentation. Whatever goes wrong, there is no
better text.
"""

import asyncio
import json
import shutil
import subprocess
import tomllib
from pathlib import Path

from inkling.context.languages import LANGUAGES
from inkling.context.neighbours import path_of
from inkling.core import DocumentSnapshot
from inkling.function.edit import Edit, edited
from inkling.function.place import FunctionPlace

TIMEOUT_S = 5
_RUFF_FILES = ("ruff.toml", ".ruff.toml")
_PRETTIER_FILES = (".prettierrc*", "prettier.config.*", ".prettier.config.*")


async def formatted_edit(
    document: DocumentSnapshot, place: FunctionPlace, edit: Edit, root: Path | None
) -> Edit:
    """`edit`, which writes the function, with its text formatted; `edit` itself where nothing can.
    `root` is the workspace; without one there is no project."""
    file = path_of(document.uri)
    if file is None or root is None:
        return edit
    better = await asyncio.to_thread(_formatted_edit, document, place, edit, file, root)
    return better or edit


def _formatted_edit(
    document: DocumentSnapshot, place: FunctionPlace, edit: Edit, file: Path, root: Path
) -> Edit | None:
    command = _formatter(document.language, file, root)
    if command is None:
        return None
    text = edited(document.text, [edit])
    is_body = place.whole_start is not None
    start = place.begin
    end = edit.start + len(edit.text)
    behind = text[end:].split("\n", 1)[0].removesuffix("\r") if is_body else ""
    margin = text[text.rfind("\n", 0, start) + 1 : start]
    whole = text[start : end + len(behind)].replace("\r\n", "\n")
    lines = whole.split("\n")
    if margin.strip() or any(it.strip() and not it.startswith(margin) for it in lines[1:]):
        return None  # the inside of a string: it has no indentation to take away
    plain = "\n".join([lines[0], *(it.removeprefix(margin) for it in lines[1:])])
    out = _run(command, plain + "\n", file.parent)
    if out is None:
        return None
    first, *others = out.replace("\r\n", "\n").strip("\n").split("\n")
    result = "\n".join([first, *(margin + it if it.strip() else "" for it in others)])
    kept = text[start : edit.start].replace("\r\n", "\n") if is_body else ""
    if not (result.startswith(kept) and result.endswith(behind) and len(result) > len(kept)):
        return None  # it would change what the user wrote
    written = result[len(kept) : len(result) - len(behind)]
    return Edit(edit.start, edit.end, written if is_body else place.lead + written)


def _run(command: list[str], text: str, folder: Path) -> str | None:
    try:
        done = subprocess.run(
            command,
            input=text.encode(),
            capture_output=True,
            check=False,
            cwd=folder,
            timeout=TIMEOUT_S,
        )
        return done.stdout.decode() if done.returncode == 0 and done.stdout.strip() else None
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


def _formatter(language: str, file: Path, root: Path) -> list[str] | None:
    """The command that formats what stands on its stdin as a part of `file`."""
    family = LANGUAGES[language].family if language in LANGUAGES else ""
    folders = [folder for folder in file.parents if folder.is_relative_to(root)]
    if family == "python":
        return _python_formatter(file, folders)
    if family == "javascript" and any(map(_has_prettier, folders)):
        program = _program(folders, ["node_modules/.bin/prettier"])
        return [program, "--stdin-filepath", str(file)] if program else None
    if language == "go" and (program := shutil.which("gofmt")):
        return [program]
    if language == "rust" and (program := shutil.which("rustfmt")):
        return [program, "--emit", "stdout", "--edition", "2021"]
    return None


def _python_formatter(file: Path, folders: list[Path]) -> list[str] | None:
    for folder in folders:  # the nearest configuration is the file's
        tools = _tools_in(folder / "pyproject.toml")
        if "black" in tools:
            program = _program(folders, [".venv/bin/black", "venv/bin/black"])
            return [program, "-q", "--stdin-filename", str(file), "-"] if program else None
        if "ruff" in tools or any((folder / name).is_file() for name in _RUFF_FILES):
            program = _program(folders, [".venv/bin/ruff", "venv/bin/ruff"])
            return [program, "format", "--stdin-filename", str(file), "-"] if program else None
    return None


def _has_prettier(folder: Path) -> bool:
    if any(True for pattern in _PRETTIER_FILES for _ in folder.glob(pattern)):
        return True
    try:
        return "prettier" in json.loads((folder / "package.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError):
        return False


def _tools_in(pyproject: Path) -> frozenset[str]:
    try:
        tools = tomllib.loads(pyproject.read_text(encoding="utf-8")).get("tool", {})
        return frozenset(tools)
    except (OSError, ValueError, TypeError):
        return frozenset()


def _program(folders: list[Path], names: list[str]) -> str | None:
    """The first of these programs in the nearest folder that has one."""
    candidates = (folder / name for folder in folders for name in names)
    return next((str(it) for it in candidates if it.is_file()), None)
