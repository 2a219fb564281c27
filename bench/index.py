"""What the index of a workspace costs: `python bench/index.py`. A table; the last line is JSON.

10,000 Python files of the packages installed beside this interpreter are copied into a folder, and the
real process indexes them, while an event loop like the server's notes how late it wakes up.
"""

import asyncio
import json
import os
import platform
import random
import re
import shutil
import site
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import psutil

from inkling.workspace.database import database_of
from inkling.workspace.index import WorkspaceIndex
from inkling.workspace.process import IndexerProcess
from inkling.workspace.scan import read_code, scan
from inkling.workspace.words import words_of

NUM_FILES = 10_000
NUM_QUERIES = 400
NEAR_LINES = 30
TICK_S = 0.005

_NAME = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]{2,}")


@dataclass
class Footprint:
    """What a process and its children take, sampled in a thread."""

    pid: int
    peak_mb: float = 0.0
    cpu_s: dict[int, float] = field(default_factory=dict)
    is_over: bool = False

    def sample(self) -> None:
        while not self.is_over:
            with suppress(psutil.NoSuchProcess):
                indexer = psutil.Process(self.pid)
                processes = [indexer, *indexer.children()]
                rss = sum(process.memory_info().rss for process in processes)
                self.peak_mb = max(self.peak_mb, rss / 1e6)
                for process in processes:
                    times = process.cpu_times()
                    self.cpu_s[process.pid] = times.user + times.system
            time.sleep(0.1)


def make_workspace(root: Path) -> float:
    """Copy the files; returns how many MB they have."""
    sources = sorted(Path(site.getsitepackages()[0]).rglob("*.py"))
    fitting = [it for it in sources if it.stat().st_size <= 500_000 and read_code(it) is not None]
    if len(fitting) < NUM_FILES:
        raise SystemExit(
            f"only {len(fitting)} files are installed; the benchmark needs {NUM_FILES}."
        )
    size = 0
    for source in random.Random(1).sample(fitting, NUM_FILES):
        target = root / source.relative_to(site.getsitepackages()[0])
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        size += target.stat().st_size
    return size / 1e6


async def delays_until(is_over: Callable[[], bool]) -> list[float]:
    """How late, in ms, an event loop wakes up from short sleeps, until `is_over` (asked rarely)."""
    delays = []
    asked = time.perf_counter()
    while True:
        start = time.perf_counter()
        await asyncio.sleep(TICK_S)
        delays.append((time.perf_counter() - start - TICK_S) * 1000)
        if time.perf_counter() - asked > 0.25:
            if await asyncio.to_thread(is_over):
                return delays
            asked = time.perf_counter()


def percentile(values: list[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(part * (len(ordered) - 1)))]


def measure_queries(root: Path, index: WorkspaceIndex) -> dict[str, list[float]]:
    """Each query at places in files of the workspace, in ms."""
    chosen = random.Random(2)
    paths = sorted(scan(root).files)
    found: dict[str, list[float]] = {}
    for _ in range(NUM_QUERIES):
        path = chosen.choice(paths)
        lines = (root / path).read_text(encoding="utf-8").split("\n")
        first = chosen.randrange(max(1, len(lines) - NEAR_LINES))
        near = [*dict.fromkeys(_NAME.findall("\n".join(lines[first : first + NEAR_LINES])))]
        queries: dict[str, Callable[[], object]] = {
            "symbols": partial(index.symbols, near, "python"),
            "frequency": partial(index.frequency, near),
            "similar_files": partial(index.similar_files, near, "python", 20),
            "symbols_in": partial(index.symbols_in, path),
            "test_pair": partial(index.test_pair, path),
            "functions": partial(index.functions, words_of(" ".join(near))[:16], "python", 256),
        }
        for name, query in queries.items():
            start = time.perf_counter()
            query()
            found.setdefault(name, []).append((time.perf_counter() - start) * 1000)
    return found


def wait_for(what: Callable[[], object]) -> float:
    """Seconds until `what` gives something true."""
    start = time.perf_counter()
    while not what():
        time.sleep(0.02)
    return time.perf_counter() - start


async def main() -> None:
    with tempfile.TemporaryDirectory(prefix="ink-") as name:
        folder = Path(name).resolve()
        os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
        root = folder / "workspace"
        source_mb = make_workspace(root)
        database = database_of(root)
        deadline = time.perf_counter() + 5
        quiet = await delays_until(lambda: time.perf_counter() > deadline)
        indexer = IndexerProcess(root, database)
        with closing(WorkspaceIndex(database)) as index:
            start = time.perf_counter()
            indexer.start()
            assert indexer.pid is not None
            footprint = Footprint(indexer.pid)
            sampler = threading.Thread(target=footprint.sample)
            sampler.start()
            first_s = 0.0

            def is_done() -> bool:
                nonlocal first_s
                num_files = index.num_files
                if num_files and not first_s:
                    first_s = time.perf_counter() - start
                return num_files == NUM_FILES

            delays = await delays_until(is_done)
            build_s = time.perf_counter() - start
            footprint.is_over = True
            sampler.join()
            queries = measure_queries(root, index)
            changed = next(iter(scan(root).files))
            (root / changed).write_text("def written_by_the_benchmark(): pass\n")
            seen_s = wait_for(lambda: index.symbols(["written_by_the_benchmark"], "python"))
            indexer.stop()
            (root / changed).write_text("def written_while_it_slept(): pass\n")
            indexer.start()
            again_s = wait_for(lambda: index.symbols(["written_while_it_slept"], "python"))
            indexer.stop()
        disk_mb = sum(file.stat().st_size for file in database.parent.iterdir()) / 1e6
    singles = {
        "source, MB": source_mb,
        "first answers, s": first_s,
        "all indexed, s": build_s,
        "CPU of all its processes, s": sum(footprint.cpu_s.values()),
        "peak memory of all its processes, MB": footprint.peak_mb,
        "disk, MB": disk_mb,
        "a saved file is seen, s": seen_s,
        "started again with one file changed, s": again_s,
    }
    rows = {f"{name}, ms": values for name, values in queries.items()}
    rows |= {"event loop late before, ms": quiet, "event loop late meanwhile, ms": delays}
    print(f"\n{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"load average at the end {os.getloadavg()[0]:.1f}\n")
    for label, value in singles.items():
        print(f"| {label:<40} | {value:>8.1f} |")
    print(f"\n| {'what':<32} | {'p50':>8} | {'p95':>8} | {'p99':>8} | {'most':>8} |")
    print(f"|{'-' * 34}|{'-' * 10}|{'-' * 10}|{'-' * 10}|{'-' * 10}|")
    figures: dict[str, object] = {label: round(value, 2) for label, value in singles.items()}
    for label, values in rows.items():
        four = [
            statistics.median(values),
            *(percentile(values, part) for part in (0.95, 0.99)),
            max(values),
        ]
        print(f"| {label:<32} | " + " | ".join(f"{value:>8.2f}" for value in four) + " |")
        figures[label] = dict(zip(("p50", "p95", "p99", "most"), (round(it, 3) for it in four)))
    print(json.dumps(figures))


if __name__ == "__main__":
    asyncio.run(main())
