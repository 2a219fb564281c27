"""Completions in the terminal: `inkling complete` and `inkling demo`."""

import asyncio
import contextlib
import re
import sys
import time
from collections.abc import AsyncIterator
from importlib.resources import files
from pathlib import Path

from inkling.client import EngineClient
from inkling.completer import Completer
from inkling.config import Settings
from inkling.context.languages import LANGUAGE_OF_EXTENSION
from inkling.core import Completion, CompletionRequest, DocumentSnapshot, TriggerKind
from inkling.errors import InklingError

CURSOR = "‸"
LINES_SHOWN = 6
_GHOST, _DIM, _END = "\x1b[3;36m", "\x1b[2m", "\x1b[0m"


class PlaceError(InklingError):
    """The place given on the command line does not exist."""


def complete_place(place: str, settings: Settings) -> int:
    """Stream the completion at FILE:LINE[:COL] to stdout, figures to stderr.

    Raises PlaceError when there is no such place. Returns 1 when there is nothing to suggest.
    """
    return asyncio.run(_complete_one(_request_at(place), settings))


def show_samples(settings: Settings) -> int:
    """Complete each marked place of the sample files that come with the demo model."""
    return asyncio.run(_show_samples(settings))


def _request_at(place: str) -> CompletionRequest:
    match = re.fullmatch(r"(.+?):(\d+)(?::(\d+))?", place)
    if match is None:
        raise PlaceError(f"{place!r} is not FILE:LINE[:COL], such as src/app.py:12:8.")
    file, line, column = Path(match[1]), int(match[2]), match[3]
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise PlaceError(f"cannot read {file}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise PlaceError(f"{file} is not UTF-8 text (byte {error.start}).") from error
    lines = text.split("\n")
    if not 1 <= line <= len(lines):
        raise PlaceError(f"{file} has {len(lines)} lines, not {line}.")
    length = len(lines[line - 1].removesuffix("\r"))
    if column is not None and not 1 <= int(column) <= length + 1:
        raise PlaceError(f"line {line} of {file} has columns 1 to {length + 1}, not {column}.")
    offset = sum(len(text) + 1 for text in lines[: line - 1])
    offset += length if column is None else int(column) - 1
    return _request(file.resolve(), text, offset)


def _request(file: Path, text: str, offset: int) -> CompletionRequest:
    cwd = Path.cwd()
    path = file.relative_to(cwd) if file.is_relative_to(cwd) else Path(file.name)
    language = LANGUAGE_OF_EXTENSION.get(file.suffix, file.suffix.removeprefix("."))
    document = DocumentSnapshot(file.as_uri(), path.as_posix(), language, text, 0)
    return CompletionRequest(document, offset, TriggerKind.INVOKED)


@contextlib.asynccontextmanager
async def _completer(settings: Settings) -> AsyncIterator[Completer]:
    completer = Completer(EngineClient(settings.engine), settings, lambda status: None)
    try:
        yield completer
    finally:
        await completer.aclose()


async def _complete_one(request: CompletionRequest, settings: Settings) -> int:
    async with _completer(settings) as completer:
        final, cost = await _stream(completer, request)
    print(flush=True)
    print(f"{_style(_DIM)}{cost}{_style(_END)}", file=sys.stderr)
    return 0 if final.text else 1


async def _show_samples(settings: Settings) -> int:
    folder = Path(str(files("inkling.models").joinpath("demo/samples")))
    async with _completer(settings) as completer:
        for sample in sorted(folder.iterdir()):
            file = sample.with_suffix("")  # ".txt": with cursor marks in it it is no source
            before, *rest = sample.read_text(encoding="utf-8").split(CURSOR)
            for number, piece in enumerate(rest):
                after = "".join(rest[number:])
                print(f"{_style(_DIM)}── {file.name}{_style(_END)}")
                print("\n".join(before.split("\n")[-LINES_SHOWN:]) + CURSOR, end="", flush=True)
                request = _request(file, before + after, len(before))
                final, cost = await _stream(completer, request)
                print(after.split("\n", 1)[0])
                print(f"{_style(_DIM)}   {cost}{_style(_END)}\n", flush=True)
                before += final.text + piece  # as a user would: accepted, and on
    return 0


async def _stream(completer: Completer, request: CompletionRequest) -> tuple[Completion, str]:
    """Print a completion as it grows; its last state, and a line on what it cost."""
    started = time.perf_counter()
    printed = ""
    final = Completion("", request.offset, "", is_final=True)
    async with contextlib.aclosing(completer.complete(request)) as states:
        async for final in states:
            print(f"{_style(_GHOST)}{final.text[len(printed) :]}{_style(_END)}", end="", flush=True)
            printed = final.text
    elapsed_ms = (time.perf_counter() - started) * 1000
    cost = f"{completer.status.model}, {elapsed_ms:.0f} ms"
    if final.usage is not None:
        cost += f", prompt of {final.usage.prompt_tokens} tokens, {final.usage.reused} reused"
    if final.silence:
        cost = f"no suggestion ({final.silence}); {cost}"
    return final, cost


def _style(code: str) -> str:
    return code if sys.stdout.isatty() else ""
