"""From a request to its prompt in a Python file of 10,000 lines, key by key: the server's own part.

    python -m bench.large_file

The file is this package's sources, one after another, until there are enough lines; a function is typed
in its middle. No engine runs. A table; the last line is JSON.
"""

import json
import statistics
import tempfile
import time
from itertools import cycle
from pathlib import Path

import inkling
from inkling.client import EngineModel
from inkling.config import Settings
from inkling.core import CompletionRequest, DocumentSnapshot
from inkling.preparation import EditEpisode, Target, prepare
from inkling.tokenizer import Tokenizer
from inkling.workspace.workspace import Workspace

PACKAGE = Path(inkling.__file__).parent
DEMO = PACKAGE / "models" / "demo"
NUM_LINES = 10_000
TYPED = '''
def read_settings(path, defaults):
    """Read settings from a JSON file, with defaults for what is missing."""
    with open(path, encoding="utf-8") as stream:
        settings = json.load(stream)
    for name, value in defaults.items():
        settings.setdefault(name, value)
    return settings
'''


def main() -> None:
    """Type and measure."""
    text = ""
    for file in cycle(sorted(PACKAGE.rglob("*.py"))):
        text += file.read_text(encoding="utf-8") + "\n\n"
        if text.count("\n") >= NUM_LINES:
            break
    at = text.index("\n\n\n", len(text) // 2) + 1
    target = Target(EngineModel("", DEMO, 16_384, "exl2", "", "", 0), Tokenizer.load(DEMO))
    times = []
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder))
        episode, settings = EditEpisode(), Settings()
        for count in range(len(TYPED) + 1):
            now = text[:at] + TYPED[:count] + text[at:]
            uri = (Path(folder) / "large.py").as_uri()
            document = DocumentSnapshot(uri, "large.py", "python", now, count)
            request = CompletionRequest(document, at + count)
            start = time.perf_counter()
            prepare(request, episode, target, settings, workspace)
            times.append((time.perf_counter() - start) * 1000)
        workspace.index.close()
    first, keys = times[0], sorted(times[1:])
    figures = {
        "characters": len(text),
        "opening, ms": round(first, 1),
        "a key, p50 ms": round(statistics.median(keys), 2),
        "a key, p95 ms": round(keys[int(0.95 * len(keys))], 2),
        "a key, most ms": round(keys[-1], 1),
    }
    for name, value in figures.items():
        print(f"| {name:<16} | {value:>9} |")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
