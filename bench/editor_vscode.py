"""From a key to painted ghost text in a real VS Code: `python -m bench.editor_vscode`.

A table; the last line is one JSON object. Both times are the page's own: the key's event, and the
first painted frame that shows the text. Nothing else should run meanwhile.
"""

import json
import os
import platform
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.keystrokes import percentile
from tests.editors.vscode import Workbench
from tests.processes import stop_engine

ROUNDS = 12
PAUSE_SECONDS = 3
BLOCK = "class User{}:\n    def __init__(self, name, email, age):"
HEAD = "import os\n\n\ndef file_size(path):\n    "
LINE = "return os.path."
KEY_MS = 80


def measure(model: str | None) -> dict[str, list[float]]:
    """Milliseconds from a key to new ghost text and to shorter text, and frames that flickered."""
    kinds = ("fresh", "rested", "through", "flicker", "growth")
    found: dict[str, list[float]] = {kind: [] for kind in kinds}
    folder = Path(tempfile.mkdtemp(prefix="ink-"))
    if model is not None:
        os.environ["INKLING_ENGINE__MODEL"] = model
    workbench = Workbench(folder)
    try:
        for number in range(ROUNDS):
            workbench.open(f"rested_{number}.py", HEAD)
            _, latency = key_to_ghost(workbench, PAUSE_SECONDS)
            found["rested"].append(latency)
            workbench.close_editors()
            workbench.open(f"file_{number}.py", HEAD)
            ghost, latency = key_to_ghost(workbench, 1)
            found["fresh"].append(latency)

            typed = ghost.split("\n")[0][:8]
            workbench.watch()
            time.sleep(0.2)
            workbench.type(typed, delay_ms=KEY_MS)
            time.sleep(0.5)
            frames = workbench.frames()
            found["flicker"].append(sum(not frame.ghost for frame in frames[:-1]))
            for position, (pressed, _) in enumerate(workbench.keys(), 1):
                rest = ghost[position:]
                at = [frame.at for frame in frames if frame.at > pressed and frame.ghost == rest]
                found["through"] += [min(at) - pressed] if at else []
            workbench.close_editors()
            workbench.open(f"block_{number}.py", BLOCK.format(number))
            workbench.watch()
            workbench.press("Enter")
            workbench.wait_for_ghost()
            shown = [bool(frame.ghost) for frame in workbench.frames()]
            found["growth"].append(shown[shown.index(True) :].count(False))
            workbench.close_editors()
            workbench.remove_files()
    finally:
        workbench.close()
        stop_engine(folder / "runtime")
        shutil.rmtree(folder, ignore_errors=True)
        os.environ.pop("INKLING_ENGINE__MODEL", None)
    return found


def key_to_ghost(workbench: Workbench, pause: float) -> tuple[str, float]:
    """The ghost text after a key that was pressed `pause` s after others, and the milliseconds to it."""
    workbench.type(LINE[:-1], delay_ms=10)
    time.sleep(pause)
    # What was shown goes, so that the next key has to bring it back.
    workbench.press("Escape")
    workbench.watch()
    time.sleep(0.2)
    workbench.type(LINE[-1])
    ghost = workbench.wait_for_ghost()
    [(pressed, _), *_] = workbench.keys()
    return ghost, next(frame.at for frame in workbench.frames() if frame.ghost) - pressed


def main() -> None:
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    print(f"| {'what':<44} | {'p50':>8} | {'p95':>8} | {'n':>4} |")
    print(f"|{'-' * 46}|{'-' * 10}|{'-' * 10}|{'-' * 6}|")
    figures: dict[str, Any] = {}
    for name, model in (("stub", "stub"), ("demo model", None)):
        found = measure(model)
        for label, values in (
            (f"{name}: a key to new ghost text, ms", found["fresh"]),
            (f"{name}: the same after {PAUSE_SECONDS} s of rest, ms", found["rested"]),
            (f"{name}: a key typed through, ms", found["through"]),
            (f"{name}: empty frames while typing through", found["flicker"]),
            (f"{name}: empty frames while a block grows", found["growth"]),
        ):
            p50, p95 = statistics.median(values), percentile(values, 0.95)
            print(f"| {label:<44} | {p50:>8.1f} | {p95:>8.1f} | {len(values):>4} |", flush=True)
            figures[label] = {"p50": round(p50, 1), "p95": round(p95, 1), "n": len(values)}
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
