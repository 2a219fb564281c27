"""The README's pictures of VS Code, made from this build: `python docs/pictures/vscode.py`.

A real workbench types into a file and shows what the real engine writes.
"""

import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.editors.vscode import Workbench
from tests.processes import stop_engine

LOOK = {
    "editor.fontSize": 15,
    "workbench.activityBar.location": "hidden",
    "editor.lightbulb.enabled": "off",
    "editor.renderLineHighlight": "none",
    "breadcrumbs.enabled": False,
    "editor.stickyScroll.enabled": False,
}
FILE = """class Stack:
    def __init__(self):
        self.items = []

    def push(self, item):
        self.items.append(item)


class User:
    def __init__(self, name, email, age"""
TYPED = "):\n"


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="ink-"))
    workbench = Workbench(folder, settings=LOOK, viewport=(860, 420))
    try:
        workbench.press("Control+b")  # no explorer
        workbench.open("shop.py", FILE)
        workbench.type(TYPED)
        workbench.wait_for_ghost()
        workbench.page.screenshot(path=ROOT / "docs" / "pictures" / "vscode.png")
        workbench.page.screenshot(
            path=ROOT / "editors" / "vscode" / "media" / "ghost-text.png",
            clip={"x": 0, "y": 36, "width": 560, "height": 325},
        )
    finally:
        workbench.close()
        stop_engine(folder / "runtime")
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
