"""From nothing to ghost text, by the clicks that the README tells a newcomer."""

import os
import sys
from pathlib import Path

import pytest

from tests.editors.code_server import ROOT
from tests.editors.vscode import Workbench

pytestmark = [pytest.mark.editor, pytest.mark.timeout(600)]


def test_a_newcomer_sets_up_the_server_and_gets_a_completion(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A machine with Python, and without Inkling.
    elsewhere = [
        it for it in os.environ["PATH"].split(os.pathsep) if not (Path(it) / "inkling").exists()
    ]
    monkeypatch.setenv("PATH", os.pathsep.join([f"{sys.base_prefix}/bin", *elsewhere]))
    # The CPU's PyTorch, as for these tests, instead of up to 3 GB.
    monkeypatch.setenv("PIP_CONSTRAINT", str(ROOT / "constraints.txt"))
    with Workbench(folder, machine={"inkling.server.package": f"{ROOT}[engine]"}) as workbench:
        page = workbench.page
        workbench.command("Inkling: Set Up")
        page.locator(".monaco-dialog-box").get_by_text("Install", exact=True).click()
        examined = page.locator(".notification-toast").filter(has_text="Choose Model")
        examined.wait_for(timeout=500_000)
        workbench.wait_until(lambda: "demo model" in workbench.status(), "the demo model")
        workbench.picture("set_up")
        examined.locator(".codicon-notifications-clear").click()
        file = workbench.open("first.py", "import os\n\n\ndef file_size(path):\n    return os.path")
        workbench.type(".")
        ghost = workbench.wait_for_ghost()
        workbench.press("Tab")
        assert workbench.save(file).endswith(f"    return os.path.{ghost}")
