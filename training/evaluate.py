"""Ask a checkpoint what stood in held-out packages, through the product's own code.

    python -m training.evaluate DATA CHECKPOINT RESULTS.json [--variant NAME] [--no-chunks] …

DATA holds held-out/ (downloaded when missing). Context, prompt, engine, healing and filters are the
server's; decoding is greedy. Reported per language group, with bootstrap 95 % intervals:

- rest of line: the exact rest of the line, and edit similarity;
- block: exact, edit similarity, whether it ended by itself, and how often it runs in circles.
"""

import argparse
import json
import multiprocessing
import os
import platform
import random
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from inkling.config import Settings
from inkling.context.chunks import rank_chunks
from inkling.context.neighbours import neighbours
from inkling.context.syntax import parse
from inkling.core import Extent
from inkling.engine.budget import PAGE_LEN, context_len
from inkling.engine.exl2 import load_checkpoint
from inkling.engine.generate import Generator
from inkling.engine.job import Event, Finished, Job, Token
from inkling.engine.kv import KVCache
from inkling.engine.vocabulary import Vocabulary
from inkling.evaluation.scores import edit_similarity
from inkling.postprocess import Draft, Place, apply_filters
from inkling.postprocess.block_end import stop_at_block_end
from inkling.prompt.harmony import DEMO
from inkling.prompt.plan import Prompt, make_plan
from inkling.tokenizer import Tokenizer
from training.config import SEED
from training.corpus import download_held_out, read_held_out
from training.documents import Document
from training.holes import Hole, make_holes, with_hole, write_sources

RESAMPLES = 2000
SAMPLES_SHOWN = 24


@dataclass(frozen=True)
class Answer:
    """What came back for a hole. `text` is what the user would be shown, `raw` what was decoded;
    `reason`: "stop" (ended by itself or where the syntax ends) or "length"."""

    hole: Hole
    text: str
    raw: str
    reason: str

    @property
    def is_exact(self) -> bool:
        return self.text.rstrip() == self.hole.target


class Asker:
    """A checkpoint with the server's pipeline around it."""

    def __init__(
        self, checkpoint: Path, sources: Path, device: str, with_chunks: bool, documents: Any
    ) -> None:
        model = load_checkpoint(checkpoint, device)
        self._tokenizer = Tokenizer.load(checkpoint)
        self._settings = Settings()
        longest = model.config.max_position_embeddings
        limit = context_len(self._settings.engine, longest, is_demo_on_cpu=device == "cpu")
        store = model.new_kv(limit // PAGE_LEN + 1, PAGE_LEN)
        self._budget = limit - max(self._settings.line_tokens, self._settings.block_tokens)
        self._generator = Generator(
            model, KVCache(store), store, Vocabulary(self._tokenizer), limit, limit
        )
        self._sources, self._with_chunks = sources, with_chunks
        self._texts = {(d.package, d.path): d.text for d in documents}

    def ask(self, hole: Hole) -> Answer:
        """The completion at the hole, as the server would make it."""
        document = with_hole(self._sources, hole, self._texts[hole.package, hole.path])
        tree = parse(document.language, document.text)
        others = neighbours(document, tree) if self._with_chunks else ()
        chunks = rank_chunks(document.text, hole.cursor, others)
        plan = make_plan(self._tokenizer, DEMO, document, hole.cursor, chunks, self._budget)
        prompt = plan.prompt(self._tokenizer, document, hole.cursor)
        before, after = document.text[: hole.cursor], document.text[hole.cursor :]
        if hole.kind == "line":
            raw, reason = self._decode(prompt, self._settings.line_tokens, _has_line_end)
            text = raw.split("\n")[0]
            return Answer(hole, text, raw, reason)
        draft = Draft("", Place(before, after, Extent.BLOCK, document.language))

        def is_over(text: str) -> bool:
            return stop_at_block_end(_with_text(draft, text, False)).is_done

        raw, reason = self._decode(prompt, self._settings.block_tokens, is_over)
        ended = stop_at_block_end(_with_text(draft, raw, True)).text
        return Answer(hole, apply_filters(_with_text(draft, raw, True)).text, ended, reason)

    def _decode(
        self, prompt: Prompt, max_tokens: int, is_over: Callable[[str], bool]
    ) -> tuple[str, str]:
        data, reason = bytearray(), "length"

        def emit(event: Event) -> bool:
            nonlocal reason
            if isinstance(event, Token):
                data.extend(event.data)
                return is_over(data.decode("utf-8", errors="ignore"))
            if isinstance(event, Finished):
                reason = event.reason
            return False

        stop_ids = self._tokenizer.stop_ids
        job = Job(prompt.token_ids, emit, max_tokens, stop_ids, healing=prompt.healing)
        for _ in self._generator.run(job):
            pass
        return data.decode("utf-8", errors="ignore"), reason


def _has_line_end(text: str) -> bool:
    return "\n" in text


def _with_text(draft: Draft, text: str, is_whole: bool) -> Draft:
    return Draft(text, draft.place, is_whole)


# Measures -------------------------------------------------------------------------------------


def is_loop(text: str) -> bool:
    """Whether a line stands three times in a row, or one to six lines repeated fill half of it."""
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    if any(lines[i] == lines[i + 1] == lines[i + 2] for i in range(len(lines) - 2)):
        return True
    for period in range(1, 7):
        run = longest = 0
        for i in range(period, len(lines)):
            run = run + 1 if lines[i] == lines[i - period] else 0
            longest = max(longest, run)
        if longest >= max(3, 2 * period) and longest + period >= len(lines) / 2:
            return True
    return False


def interval(values: Sequence[float], seed: int = SEED) -> dict[str, float]:
    """Mean with its bootstrap 95 % interval."""
    rng = random.Random(seed)
    count = len(values)
    means = sorted(sum(rng.choices(values, k=count)) / count for _ in range(RESAMPLES))
    low, high = means[int(0.025 * RESAMPLES)], means[int(0.975 * RESAMPLES)]
    return {
        "mean": round(sum(values) / count, 4),
        "low": round(low, 4),
        "high": round(high, 4),
    }


def summarise(answers: Sequence[Answer]) -> dict[str, dict[str, Any]]:
    """Figures per language group and kind of hole; code lines apart."""
    figures: dict[str, dict[str, Any]] = {}
    for group in ("python", "javascript"):
        of_group = [answer for answer in answers if answer.hole.group == group]
        lines = [answer for answer in of_group if answer.hole.kind == "line"]
        blocks = [answer for answer in of_group if answer.hole.kind == "block"]
        parts = {
            "line": lines,
            "line, code": [answer for answer in lines if answer.hole.is_code],
            "line, prose": [answer for answer in lines if not answer.hole.is_code],
            "block": blocks,
        }
        for name, part in parts.items():
            if not part:
                continue
            entry: dict[str, Any] = {
                "holes": len(part),
                "exact": interval([float(answer.is_exact) for answer in part]),
                "edit_similarity": interval(
                    [edit_similarity(answer.text.rstrip(), answer.hole.target) for answer in part]
                ),
            }
            if name == "block":
                entry["loops"] = interval([float(is_loop(answer.raw)) for answer in part])
                entry["loops_shown"] = interval([float(is_loop(answer.text)) for answer in part])
                entry["ended"] = interval([float(answer.reason == "stop") for answer in part])
                firsts = [(_first_line(a.text), _first_line(a.hole.target)) for a in part]
                entry["first_line_exact"] = interval([float(got == want) for got, want in firsts])
            figures[f"{group}, {name}"] = entry
    return figures


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.split("\n") if line.strip()), "")


# Running --------------------------------------------------------------------------------------

_asker: Asker | None = None


def _start(*arguments: Any) -> None:
    global _asker
    torch.set_num_threads(1)
    _asker = Asker(*arguments)


def _ask(hole: Hole) -> Answer:
    assert _asker is not None
    return _asker.ask(hole)


def load_held_out(folder: Path) -> list[Document]:
    """The held-out documents, downloaded on first use."""
    if not (folder / "held-out").is_dir():
        download_held_out(folder / "held-out")
    return read_held_out(folder / "held-out")


def all_holes(
    documents: Sequence[Document], tokenizer: Tokenizer, num_lines: int, num_blocks: int
) -> list[Hole]:
    """The holes of both language groups, mixed."""
    holes: list[Hole] = []
    for is_python in (True, False):
        group = [document for document in documents if document.is_python is is_python]
        holes += make_holes(group, tokenizer, num_lines, num_blocks, SEED)
    random.Random(SEED).shuffle(holes)
    return holes


def collect_answers(holes: Iterable[Hole], workers: int, *asker: Any) -> list[Answer]:
    context = multiprocessing.get_context("spawn")
    with context.Pool(workers, _start, asker) as pool:
        return list(pool.imap(_ask, holes, chunksize=4))


def show(answers: Sequence[Answer]) -> None:
    """Some answers to look at."""
    for answer in answers[:SAMPLES_SHOWN]:
        mark = "=" if answer.is_exact else " "
        print(f"{mark} {answer.hole.kind} {answer.hole.path}\n  want ⟦{answer.hole.target}⟧")
        print(f"  got  ⟦{answer.text}⟧ ({answer.reason})\n")


def machine() -> str:
    """The processor and how many of it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().split("\n") if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{os.cpu_count()} × {names[0] if names else platform.machine()}"


def write_results(file: Path, answers: Sequence[Answer], about: dict[str, Any]) -> None:
    """Figures and every answer as JSON; some answers and the figures to the terminal."""
    figures = summarise(answers)
    results = {
        **about,
        "date": datetime.now(UTC).date().isoformat(),
        "figures": figures,
        "answers": [asdict(answer) for answer in answers],
    }
    file.write_text(json.dumps(results, indent=1) + "\n")
    show(answers)
    for name, entry in figures.items():
        print(name, json.dumps(entry))


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure a checkpoint on held-out packages.")
    parser.add_argument("data", type=Path)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("results", type=Path)
    parser.add_argument("--lines", type=int, default=1000, help="per language group")
    parser.add_argument("--blocks", type=int, default=250, help="per language group")
    parser.add_argument("--no-chunks", action="store_true", help="no related code in the prompts")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    documents = load_held_out(arguments.data)
    sources = (arguments.data / "held-out-sources").resolve()
    write_sources(sources, documents)
    tokenizer = Tokenizer.load(arguments.checkpoint)
    holes = all_holes(documents, tokenizer, arguments.lines, arguments.blocks)
    started = time.monotonic()
    answers = collect_answers(
        holes,
        arguments.workers,
        arguments.checkpoint,
        sources,
        arguments.device,
        not arguments.no_chunks,
        documents,
    )
    about = {
        "checkpoint": arguments.checkpoint.name,
        "chunks": not arguments.no_chunks,
        "device": arguments.device,
        "machine": machine(),
        "seconds": round(time.monotonic() - started, 1),
    }
    write_results(arguments.results, answers, about)


if __name__ == "__main__":
    main()
