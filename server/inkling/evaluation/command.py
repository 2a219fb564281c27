"""`inkling eval`: from a repository to figures, in the terminal and in files."""

import asyncio
import json
import os
import platform
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeVar

from inkling import __version__
from inkling.client import EngineClient
from inkling.config import Settings, load_settings, user_config_file
from inkling.errors import InklingError
from inkling.evaluation.editor import Editor, editor_of
from inkling.evaluation.holes import Hole, draw_holes, make_holes, spans_in
from inkling.evaluation.plots import latency_plot, reuse_plot
from inkling.evaluation.recall import ContextRecall
from inkling.evaluation.replay import PACES, replay
from inkling.evaluation.report import as_text
from inkling.evaluation.results import WITH, WITHOUT, Answer, Results
from inkling.evaluation.scores import score
from inkling.evaluation.sources import Source, read_sources
from inkling.progress import Progress
from inkling.tokenizer import Tokenizer
from inkling.workspace.scan import scan
from inkling.workspace.workspace import Workspace

# Longer true text (characters) is not replayed: each key may cost a completion.
MAX_REPLAYED = 400
MIN_REPLAYED = 40
# How long an index may stand still before it is taken for whole.
INDEX_PATIENCE_S = 20

_T = TypeVar("_T")


class CannotWrite(InklingError):
    """The folder for the results cannot be written."""


@dataclass(frozen=True)
class Plan:
    """What was asked for: see `inkling eval --help`."""

    repository: Path
    num_holes: int
    num_replays: int
    kinds: tuple[str, ...]
    seed: int
    is_compared: bool
    out: Path


def run_evaluation(plan: Plan) -> int:
    """Measure, print the tables, write `eval.json`, `latency.svg` and `reuse.svg` into `plan.out`.

    What ends it early loses nothing: what was measured until then is reported. An interrupt then
    returns 130. Raises NothingToEvaluate, EngineUnavailable, ServerDied, CannotWrite.
    """
    root = plan.repository.resolve()
    sources = read_sources(root)
    holes = make_holes(sources, plan.num_holes, plan.kinds, plan.seed)
    with _writing_to(plan.out):
        pass  # to be told now rather than after minutes
    settings, problems = load_settings(user_config_file(), root, os.environ, None)
    for problem in problems:
        sys.stderr.write(f"inkling: {problem}\n")
    results = Results(_about(plan, sources, holes, settings), plan.seed)
    trouble: InklingError | None = None
    try:
        _measure_recall(results, root, sources, holes, settings)
        asyncio.run(_measure_server(results, plan, root, sources, holes, settings))
        results.about["is_whole"] = True
    except KeyboardInterrupt:
        sys.stderr.write("\ninkling: interrupted; this is what was measured until then.\n")
    except InklingError as error:
        trouble = error
    files = _write(results, plan.out)
    sys.stdout.write("\n".join([as_text(results), *map(str, files), ""]))
    if trouble is not None:
        raise trouble
    return 0 if results.about["is_whole"] else 130


def _about(
    plan: Plan, sources: Sequence[Source], holes: Sequence[Hole], settings: Settings
) -> dict[str, Any]:
    return {
        "inkling": __version__,
        "python": platform.python_version(),
        "machine": f"{os.cpu_count()} × {platform.machine()}, {platform.system()}",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "repository": plan.repository.resolve().name,
        "files": len(sources),
        "holes_made": len(holes),
        "files_with_holes": len({hole.source.path for hole in holes}),
        "seed": plan.seed,
        "kinds": plan.kinds,
        "model": "",
        "settings": settings.model_dump(
            include={"prompt_tokens", "related_code", "line_tokens", "block_tokens", "debounce_ms"}
        ),
        "is_whole": False,
    }


def _measure_recall(
    results: Results,
    root: Path,
    sources: Sequence[Source],
    holes: Sequence[Hole],
    settings: Settings,
) -> None:
    workspace = _indexed(root)
    measure = ContextRecall(root, sources, settings, workspace)
    for variant in (WITH, WITHOUT):
        results.recalls[variant] = []
    for hole in _counted("context recall", holes):
        for variant, recalls in results.recalls.items():
            recalls.append(measure.of(hole, related_code=variant == WITH))
    workspace.stop()


def _indexed(root: Path) -> Workspace:
    """The workspace with its index, once that holds all files or does not grow any more."""
    workspace = Workspace(root)
    workspace.start(is_indexed=True)
    wanted, held, grown = len(scan(root).files), -1, time.monotonic()
    progress = Progress("index", lambda done, total: f"{done:.0f} of {total:.0f} files")
    try:
        while held < wanted and time.monotonic() - grown < INDEX_PATIENCE_S:
            time.sleep(0.1)
            if workspace.index.num_files > held:
                held, grown = workspace.index.num_files, time.monotonic()
                progress(held, wanted)
    finally:
        progress.close()
    return workspace


async def _measure_server(
    results: Results,
    plan: Plan,
    root: Path,
    sources: Sequence[Source],
    holes: Sequence[Hole],
    settings: Settings,
) -> None:
    variants = {WITH: True, WITHOUT: False} if plan.is_compared else {WITH: True}
    for variant, related_code in variants.items():
        answers = results.answers[variant] = []
        async with editor_of(root, {"related_code": related_code}) as editor:
            results.about["model"] = await editor.ready()
            for hole in _counted(f"holes, {variant}", holes):
                answers.append(await _answer(editor, root, hole))
    typed = _replayed(sources, plan.num_replays, plan.seed)
    results.tokenizer = await _tokenizer(settings)
    async with editor_of(root, {}) as editor:
        await editor.ready()
        for hole, pace in _counted("replays", [(hole, pace) for hole in typed for pace in PACES]):
            uri = (root / hole.source.path).as_uri()
            results.replays.append(await replay(editor, uri, hole, pace))


async def _answer(editor: Editor, root: Path, hole: Hole) -> Answer:
    uri = (root / hole.source.path).as_uri()
    editor.open(uri, hole.source.language, hole.document)
    async with aclosing(editor.complete(uri, hole.start)) as following:
        states = [state async for state in following]
    editor.close(uri)
    first, last = states[0], states[-1]
    return Answer(
        hole=hole,
        text=last.text,
        silence=last.silence,
        first_ms=first.after_ms,
        whole_ms=last.after_ms,
        scores=score(hole, last.text),
    )


def _replayed(sources: Sequence[Source], count: int, seed: int) -> list[Hole]:
    """What to type again, each inside its file: described functions, and blocks where those end."""
    spans_of = cache(spans_in)
    drawn = chain.from_iterable(
        draw_holes(sources, kind, seed, spans_of) for kind in ("function", "block")
    )
    fitting = (hole for hole in drawn if MIN_REPLAYED <= len(hole.truth) <= MAX_REPLAYED)
    return [replace(hole, has_suffix=True) for hole in islice(fitting, count)]


async def _tokenizer(settings: Settings) -> Tokenizer:
    """The vocabulary of the model that answers."""
    client = EngineClient(settings.engine, spawn=False)
    try:
        model = await client.model()
    finally:
        await client.aclose()
    return await asyncio.to_thread(Tokenizer.load, model.root)


def _counted(label: str, items: Sequence[_T]) -> Iterator[_T]:
    """The items, with a bar that says how many are done."""
    progress = Progress(label, lambda done, total: f"{done:.0f} of {total:.0f}")
    try:
        for number, item in enumerate(items):
            progress(number, len(items))
            yield item
        progress(len(items), len(items))
    finally:
        progress.close()


def _write(results: Results, folder: Path) -> list[Path]:
    """All figures and the pictures of replays, as files. Raises CannotWrite."""
    texts = {"eval.json": json.dumps(results.as_json(), indent=1) + "\n"}
    if results.replays:
        texts["latency.svg"] = latency_plot(results.replays)
        texts["reuse.svg"] = reuse_plot(results.replays)
    with _writing_to(folder):
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in texts]


@contextmanager
def _writing_to(folder: Path) -> Iterator[None]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise CannotWrite(
            f"{folder} cannot be written ({error.strerror}): say another --out."
        ) from error
