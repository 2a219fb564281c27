"""The `inkling` command. Each subcommand imports what it needs and no more."""

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from inkling import __version__
from inkling.errors import InklingError, NotInstalled

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

    convert = commands.add_parser("convert", help="make an EXL2 checkpoint of the published one")
    convert.add_argument(
        "folder", type=Path, metavar="DIR", help="gpt-oss as published, or in bf16"
    )
    convert.add_argument("out", type=Path, metavar="OUT", help="the folder to make")
    convert.add_argument(
        "--recipe",
        metavar="NAME",
        help="balanced (if nothing is said), exact, native or small, or a .toml file (docs/conversion.md)",
    )
    convert.add_argument("--device", choices=("auto", "cuda", "cpu"), default="auto")
    convert.add_argument(
        "--text", type=Path, metavar="DIR", help="source files that a calibrated recipe reads"
    )
    convert.add_argument(
        "--verify",
        action="store_true",
        help="compare with the source again; of an OUT there, only that",
    )
    convert.set_defaults(run=_convert)

    inspect = commands.add_parser(
        "inspect", help="what a checkpoint holds, and which cards it fits"
    )
    inspect.add_argument("folder", type=Path, metavar="DIR", help="an EXL2 checkpoint's folder")
    inspect.add_argument(
        "--context", type=_positive, default=16_384, metavar="N", help="tokens of KV cache to count"
    )
    inspect.add_argument("--tensors", action="store_true", help="list every matrix")
    inspect.set_defaults(run=_inspect)

    from inkling.model_commands import add_model_commands

    add_model_commands(commands)

    from inkling.evaluation import KINDS

    evaluate = commands.add_parser(
        "eval", help="how good completions are on a repository: holes, typing, context"
    )
    evaluate.add_argument("--repo", type=Path, default=Path(), metavar="DIR", help="default: .")
    evaluate.add_argument("--holes", type=_positive, default=60, metavar="N", help="default: 60")
    evaluate.add_argument(
        "--replays", type=_positive, default=3, metavar="N", help="texts to type again; default: 3"
    )
    evaluate.add_argument(
        "--kinds", nargs="+", choices=KINDS, default=KINDS, metavar="KIND", help=", ".join(KINDS)
    )
    evaluate.add_argument("--seed", type=int, default=0, help="another one: other holes")
    evaluate.add_argument(
        "--without-related",
        action="store_true",
        help="also fill the holes without code of other files, to compare",
    )
    evaluate.add_argument(
        "--out", type=Path, default=Path("inkling-eval"), metavar="DIR", help="for JSON and SVG"
    )
    evaluate.set_defaults(run=_eval)

    style = commands.add_parser(
        "style", help="the style that completions follow, and where each rule comes from"
    )
    style.add_argument(
        "folder", type=Path, nargs="?", default=Path(), metavar="DIR", help="default: ."
    )
    style.set_defaults(run=_style)

    doctor = commands.add_parser("doctor", help="what is there, what is missing, what to do")
    doctor.set_defaults(run=_doctor)
    return parser


def _positive(text: str) -> int:
    """A whole number from 1 on."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is no whole number from 1 on")
    return int(text)


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


def _convert(arguments: argparse.Namespace) -> int:
    with _engine_parts():
        from inkling.engine.convert.command import run_convert

    return run_convert(
        arguments.folder,
        arguments.out,
        arguments.recipe,
        arguments.device,
        arguments.text,
        is_verified=arguments.verify,
    )


def _inspect(arguments: argparse.Namespace) -> int:
    with _engine_parts():
        from inkling.engine.convert.command import run_inspect

    return run_inspect(arguments.folder, arguments.context, all_tensors=arguments.tensors)


@contextlib.contextmanager
def _engine_parts() -> Iterator[None]:
    """An import that needs more than the server is installed with."""
    # Idle threads of torch that spin on shared cores make each other many times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        yield
    except ModuleNotFoundError as error:
        raise NotInstalled(
            f'{error.name} is not installed: pip install "inkling-lsp[engine]" brings it.'
        ) from error


def _eval(arguments: argparse.Namespace) -> int:
    from inkling.evaluation.command import Plan, run_evaluation

    plan = Plan(
        repository=arguments.repo,
        num_holes=arguments.holes,
        num_replays=arguments.replays,
        kinds=tuple(arguments.kinds),
        seed=arguments.seed,
        is_compared=arguments.without_related,
        out=arguments.out,
    )
    return run_evaluation(plan)


def _style(arguments: argparse.Namespace) -> int:
    from inkling.style.command import show_style

    return show_style(arguments.folder)


def _doctor(arguments: argparse.Namespace) -> int:
    from inkling.doctor import report

    return report(_settings())


def _settings() -> "Settings":
    from inkling.config import load_settings, user_config_file

    settings, problems = load_settings(user_config_file(), Path.cwd(), os.environ, None)
    for problem in problems:
        print(f"inkling: {problem}", file=sys.stderr)
    return settings
