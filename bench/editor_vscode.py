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
HEAD = "import os\n\n\ndef file_size(path):\n    "
LINE = "return os.path."
KEY_MS = 80


def measure(model: str | None) -> dict[str, list[float]]:
    """Milliseconds from a key to new ghost text and to shorter text, and frames that flickered."""
    found: dict[str, list[float]] = {"fresh": [], "through": [], "flicker": []}
    folder = Path(tempfile.mkdtemp(prefix="ink-"))
    if model is not None:
        os.environ["INKLING_ENGINE__MODEL"] = model
    workbench = Workbench(folder)
    try:
        for number in range(ROUNDS):
            workbench.open(f"file_{number}.py", HEAD)
            workbench.type(LINE[:-1], delay_ms=10)
            time.sleep(1)
            # What was shown goes, so that the next key has to bring it back.
            workbench.press("Escape")
            workbench.watch()
            time.sleep(0.2)
            workbench.type(LINE[-1])
            ghost = workbench.wait_for_ghost()
            [(pressed, _), *_] = workbench.keys()
            shown = next(frame.at for frame in workbench.frames() if frame.ghost)
            found["fresh"].append(shown - pressed)

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
            workbench.remove_files()
    finally:
        workbench.close()
        stop_engine(folder / "runtime")
        shutil.rmtree(folder, ignore_errors=True)
        os.environ.pop("INKLING_ENGINE__MODEL", None)
    return found


def main() -> None:
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    print(f"| {'what':<44} | {'p50':>8} | {'p95':>8} | {'n':>4} |")
    print(f"|{'-' * 46}|{'-' * 10}|{'-' * 10}|{'-' * 6}|")
    figures: dict[str, Any] = {}
    for name, model in (("stub", "stub"), ("demo model", None)):
        found = measure(model)
        for label, values in (
            (f"{name}: a key to new ghost text, ms", found["fresh"]),
            (f"{name}: a key typed through, ms", found["through"]),
            (f"{name}: empty frames while typing through", found["flicker"]),
        ):
            p50, p95 = statistics.median(values), percentile(values, 0.95)
            print(f"| {label:<44} | {p50:>8.1f} | {p95:>8.1f} | {len(values):>4} |", flush=True)
            figures[label] = {"p50": round(p50, 1), "p95": round(p95, 1), "n": len(values)}
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
