"""For all tests in real editors."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.editors.neovim import find_neovim, find_oldest_neovim
from tests.editors.neovim_server import ScriptedServer
from tests.editors.vscode import Workbench
from tests.processes import stop_engine

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Try a failed test once more: an editor, a browser and a model share two cores here, and now and
    then one of them is late by seconds. The summary counts these, and what is wrong fails twice."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.flaky(reruns=1))


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder with a short path (sockets allow about 100 bytes) and no engine left behind."""
    path = Path(tempfile.mkdtemp(prefix="ink-"))
    try:
        yield path
    finally:
        stop_engine(path / "runtime")
        shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder of the test's own."""
    with temporary_folder() as path:
        yield path


@pytest.fixture(scope="module")
def shared_folder() -> Iterator[Path]:
    """One folder for the module, and with it one engine: it takes seconds to start."""
    with temporary_folder() as path:
        yield path


@pytest.fixture(params=["0.12", "0.11"])
def each_neovim(request: pytest.FixtureRequest) -> Path:
    """The program of each Neovim that is supported."""
    return find_neovim() if request.param == "0.12" else find_oldest_neovim()


@pytest.fixture
def server(folder: Path) -> Iterator[ScriptedServer]:
    """The server of the test's editor."""
    with ScriptedServer(folder) as scripted:
        yield scripted


@pytest.fixture(scope="module")
def shared_workbench(shared_folder: Path, request: pytest.FixtureRequest) -> Iterator[Workbench]:
    """One workbench for the module: it takes seconds to start."""
    with Workbench(shared_folder) as workbench:
        yield workbench
        workbench.keep_logs(request.path.stem)


@pytest.fixture
def workbench(shared_workbench: Workbench, request: pytest.FixtureRequest) -> Iterator[Workbench]:
    """The workbench with no editor open; a picture of how a test left it stays behind."""
    # Where it rests on the status bar, what hovers there would cover the buttons of messages.
    shared_workbench.page.mouse.move(0, 0)
    yield shared_workbench
    shared_workbench.picture(request.node.name.replace(" ", "_"))
    shared_workbench.close_editors()
    shared_workbench.remove_files()
    assert shared_workbench.take_toasts() == []
