"""The setting `engine.model` in the user's own file, changed without touching the rest of it."""

import contextlib
import os
import tempfile
from collections.abc import MutableMapping
from pathlib import Path

import tomlkit
from tomlkit.exceptions import TOMLKitError

from inkling.errors import InklingError


class ChoiceError(InklingError):
    """The settings file cannot be changed."""


def set_model(file: Path, model: str | None) -> None:
    """Set `engine.model` in `file`, which is made if need be; None takes it away.

    All other lines, comments and their order stay. A reader sees the old file or the new one.

    Raises ChoiceError when the file is no TOML table of settings or cannot be read or written.
    """
    file = file.resolve()  # a link into a folder of dotfiles stays one
    try:
        text = file.read_bytes().decode() if file.exists() else ""
        changed = _with_model(text, model)
        if changed != text:
            _replace(file, changed)
    except (TOMLKitError, UnicodeDecodeError) as error:
        raise ChoiceError(f"{file} is not valid TOML ({error}): mend or remove it.") from error
    except OSError as error:
        raise ChoiceError(
            f"{error.filename or file} cannot be read or written ({error.strerror}): see to who may"
            " write there."
        ) from error


def _with_model(text: str, model: str | None) -> str:
    document = tomlkit.parse(text)
    if "engine" not in document:
        if model is None:
            return text
        if text:
            document.add(tomlkit.nl())
        document.add("engine", tomlkit.table())
    engine = document["engine"]
    if not isinstance(engine, MutableMapping):
        raise TOMLKitError("engine is no table")
    if model is None:
        engine.pop("model", None)
    else:
        engine["model"] = model
    return tomlkit.dumps(document)


def _replace(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(dir=file.parent, prefix=f"{file.name}.")
    try:
        with open(descriptor, "wb") as stream:
            stream.write(text.encode())
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(draft, file.stat().st_mode & 0o777 if file.exists() else 0o644)
        os.replace(draft, file)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(draft)
        raise
