"""The `inkling` command. Each subcommand imports what it needs and no more."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from inkling import __version__
from inkling.errors import InklingError

if TYPE_CHECKING:
    from inkling.config import Settings


def main(argv: list[str] | None = None) -> int:
    """Run one subcommand and return the exit status: 0, or 1 after one line on stderr."""
    arguments = _parser().parse_args(argv)
    try:
        return int(arguments.run(arguments))
    except InklingError as error:
        print(f"inkling: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="inkling", description="Local inline code completion: nothing leaves the machine."
    )
    parser.add_argument("--version", action="version", version=f"inkling {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    lsp = commands.add_parser("lsp", help="the language server, over stdin and stdout")
    lsp.set_defaults(run=_lsp)

    engine = commands.add_parser("engine", help="the engine that holds the model (one per machine)")
    engine.add_argument("--model", metavar="DIR", help="an EXL2 checkpoint's folder")
    engine.add_argument("--device", choices=("auto", "cuda", "cpu"), help="where the model runs")
    engine.set_defaults(run=_engine)

    complete = commands.add_parser("complete", help="stream one completion to the terminal")
    complete.add_argument(
        "place", metavar="FILE:LINE[:COL]", help="counted from 1; without COL, the line's end"
    )
    complete.set_defaults(run=_complete)

    demo = commands.add_parser("demo", help="complete a few places of sample files")
    demo.set_defaults(run=_demo)

    doctor = commands.add_parser("doctor", help="what is there, what is missing, what to do")
    doctor.set_defaults(run=_doctor)
    return parser


def _lsp(arguments: argparse.Namespace) -> int:
    from inkling.lsp.server import run

    return run()


def _engine(arguments: argparse.Namespace) -> int:
    from inkling.engine.serve import run

    settings = _settings().engine
    chosen = {"model": arguments.model, "device": arguments.device}
    return run(settings.model_copy(update={k: v for k, v in chosen.items() if v is not None}))


def _complete(arguments: argparse.Namespace) -> int:
    from inkling.terminal import complete_place

    return complete_place(arguments.place, _settings())


def _demo(arguments: argparse.Namespace) -> int:
    from inkling.terminal import show_samples

    return show_samples(_settings())


def _doctor(arguments: argparse.Namespace) -> int:
    from inkling.doctor import report

    return report(_settings())


def _settings() -> "Settings":
    import os

    from inkling.config import load_settings, user_config_file

    settings, problems = load_settings(user_config_file(), Path.cwd(), os.environ, None)
    for problem in problems:
        print(f"inkling: {problem}", file=sys.stderr)
    return settings
