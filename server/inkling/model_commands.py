"""`inkling model pull`, `list` and `use`, as the terminal shows them."""

import argparse
import os
import shlex
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inkling.config import EngineSettings

_MODEL_VARIABLE = "INKLING_ENGINE__MODEL"


def add_model_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `model` and what it can do to the command line."""
    model = commands.add_parser("model", help="fetch checkpoints, list them, choose one")
    actions = model.add_subparsers(required=True, metavar="ACTION")

    pulling = actions.add_parser("pull", help="fetch a checkpoint from the Hugging Face hub")
    pulling.add_argument("repo", metavar="REPO", help="such as openai/gpt-oss-20b")
    pulling.add_argument("--revision", help="a branch, tag or commit; else the main branch")
    pulling.set_defaults(run=lambda arguments: pull(arguments.repo, arguments.revision))

    listing = actions.add_parser("list", help="the checkpoints there are, and which is chosen")
    listing.set_defaults(run=lambda arguments: list_models())

    using = actions.add_parser("use", help="choose what the engine serves")
    using.add_argument(
        "name", metavar="NAME", help="a name from the list, a checkpoint's folder, or demo"
    )
    using.set_defaults(run=lambda arguments: use(arguments.name))


def pull(repo: str, revision: str | None) -> int:
    """Fetch a checkpoint into the models folder, and say what to do with it.

    Raises HubError, PullError and CheckpointError. Returns 130 when interrupted.
    """
    from inkling.hub.local import folder_name, models_folder, read_form
    from inkling.hub.pull import pull as pull_files
    from inkling.hub.remote import list_files
    from inkling.progress import Progress

    listing = list_files(repo, revision)
    folder = models_folder() / folder_name(repo, revision)
    about = f"{len(listing.files)} files, {_size(listing.nbytes)}"
    print(f"{repo} at {listing.commit[:7]} → {folder} ({about})", flush=True)
    checking = Progress("checking", _bytes)
    pulling = Progress("pulling ", _Transfer())
    try:
        try:
            fetched = pull_files(listing, folder, checking=checking, pulling=pulling)
        finally:
            checking.close()
            pulling.close()
    except KeyboardInterrupt:
        print("inkling: stopped; the same command goes on from here.", file=sys.stderr)
        return 130
    what = f"{_size(fetched)} fetched" if fetched else "there already"
    print(f"{what}; every file has the hash that the hub gives for it.")
    if read_form(folder).is_exl2:
        print(f"choose it: inkling model use {shlex.quote(folder.name)}")
    else:
        source, out = shlex.quote(str(folder)), shlex.quote(f"{folder}-exl2")
        print(f"convert it: inkling convert {source} {out} --recipe balanced")
    return 0


def list_models() -> int:
    """Print every checkpoint: its name, its size, what it is, and a mark on the chosen one."""
    from inkling.hub.local import entries, models_folder

    models = models_folder()
    found = list(entries(models, _engine_settings().model))
    width = max(len(entry.name) for entry in found)
    for entry in found:
        mark = "*" if entry.is_chosen else " "
        print(f"{mark} {entry.name:<{width}}  {_size(entry.nbytes):>8}  {entry.words}")
    print(f"\n* chosen by the settings; pulled models are in {models}")
    return 0


def use(name: str) -> int:
    """Set engine.model in the user's settings file, and say when it takes effect.

    Raises CheckpointError for what the engine cannot serve, ChoiceError for a settings file that
    cannot be changed.
    """
    from inkling.config import user_config_file
    from inkling.errors import CheckpointError
    from inkling.hub.choice import set_model
    from inkling.hub.local import DEMO, check_whole, find, models_folder, read_form

    model = None
    if name != DEMO:
        folder = find(name, models_folder())
        check_whole(folder)
        if not read_form(folder).is_exl2:
            source, out = shlex.quote(str(folder)), shlex.quote(f"{folder}-exl2")
            raise CheckpointError(
                f"{folder} is a checkpoint as published, which the engine does not serve; convert"
                f" it first: inkling convert {source} {out} --recipe balanced"
            )
        model = str(folder)
    file = user_config_file()
    set_model(file, model)
    print(f"engine.model is {model or 'unset: the demo model'} in {file}.")
    _say_when()
    return 0


def _say_when() -> None:
    from inkling.runtime import is_running, read_address

    settings = _engine_settings()
    if is_running():
        address = read_address()
        end = f"kill {address.pid} ends it" if address else "it is starting"
        print(
            f"The engine that runs keeps its model until it ends ({end}; by itself it ends after"
            f" {settings.idle_minutes:g} minutes without a request)."
        )
    print("It holds for the next engine; editors that are open need to be started again.")
    if os.environ.get(_MODEL_VARIABLE):
        print(f"{_MODEL_VARIABLE} is set here, which outweighs the file: unset it.")


def _engine_settings() -> "EngineSettings":
    from inkling.config import load_settings, user_config_file

    # A workspace has no say in what the engine serves.
    settings, problems = load_settings(user_config_file(), None, os.environ, None)
    for problem in problems:
        print(f"inkling: {problem}", file=sys.stderr)
    return settings.engine


class _Transfer:
    """The words of a bar: bytes, and bytes a second since the first call."""

    def __init__(self) -> None:
        self._started: tuple[float, float] | None = None  # time and bytes

    def __call__(self, done: float, total: float) -> str:
        now = time.monotonic()
        if self._started is None:
            self._started = now, done
        seconds = now - self._started[0]
        if seconds < 1:
            return _bytes(done, total)
        speed = (done - self._started[1]) / seconds
        return f"{_bytes(done, total)}, {_size(speed)}/s"


def _bytes(done: float, total: float) -> str:
    return f"{_size(done)} of {_size(total)}"


def _size(nbytes: float) -> str:
    return f"{nbytes / 1e9:.1f} GB" if nbytes >= 1e9 else f"{nbytes / 1e6:.1f} MB"
