"""The indexer's process as a server runs it: built, watched, killed, shared, damaged."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import psutil
import pytest

from inkling.workspace.database import connect_to_write
from inkling.workspace.index import WorkspaceIndex
from inkling.workspace.process import IndexerProcess
from inkling.workspace.store import IndexStore
from inkling.workspace.updates import update
from tests.unit.workspace.test_updates import content

pytestmark = pytest.mark.e2e

# A process that is a server as far as an indexer sees: it starts one and then only waits.
SERVER = """
import sys, time
from pathlib import Path
from inkling.workspace.process import IndexerProcess
indexer = IndexerProcess(Path(sys.argv[1]), Path(sys.argv[2]))
indexer.start()
print(indexer.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path.resolve() / "work"
    root.mkdir()
    return root


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "cache/index.sqlite"


@pytest.fixture
def index(database: Path) -> Iterator[WorkspaceIndex]:
    with closing(WorkspaceIndex(database)) as index:
        yield index


@pytest.fixture
def start(root: Path, database: Path) -> Iterator[Callable[[], IndexerProcess]]:
    """Starts an indexer of the workspace, and ends it after the test."""
    with ExitStack() as stack:

        def start() -> IndexerProcess:
            indexer = IndexerProcess(root, database)
            stack.callback(indexer.stop)
            indexer.start()
            return indexer

        yield start


def wait_for(what: Callable[[], object]) -> None:
    """Wait until `what` gives something true; the test's own timeout ends it."""
    while not what():
        time.sleep(0.05)


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def write_many(root: Path, number: int) -> None:
    for folder in range(number // 50):
        (root / f"p{folder}").mkdir()
        for file in range(50):
            text = f"def only_{folder}_{file}(): return common_name\n" * 20
            (root / f"p{folder}/m{file}.py").write_text(text)


def test_files_are_indexed_and_changes_followed(
    root: Path, index: WorkspaceIndex, start: Callable[[], IndexerProcess]
) -> None:
    def has(name: str) -> bool:
        return bool(index.symbols([name], "python"))

    (root / "a.py").write_text("def first(): pass\n")
    start()
    wait_for(lambda: has("first"))
    (root / "a.py").write_text("def second(): pass\n")
    wait_for(lambda: has("second") and not has("first"))
    (root / "lib/deep").mkdir(parents=True)
    (root / "lib/deep/b.py").write_text("def third(): pass\n")
    wait_for(lambda: has("third"))
    (root / "lib/deep/c.py").write_text("def fourth(): pass\n")  # the new folder is watched
    wait_for(lambda: has("fourth"))
    (root / "a.py").rename(root / "lib/a.py")
    wait_for(lambda: [it.path for it in index.symbols(["second"], "python")] == ["lib/a.py"])
    (root / ".gitignore").write_text("deep/\n")
    wait_for(lambda: not has("third") and not has("fourth"))
    (root / ".gitignore").unlink()
    wait_for(lambda: has("third"))
    (root / "lib").rename(root / "moved")
    wait_for(lambda: [it.path for it in index.symbols(["third"], "python")] == ["moved/deep/b.py"])


def test_it_stops_and_starts_again(
    root: Path, index: WorkspaceIndex, start: Callable[[], IndexerProcess]
) -> None:
    (root / "a.py").write_text("def first(): pass\n")
    indexer = start()
    wait_for(lambda: index.num_files)
    pid = indexer.pid
    assert pid is not None
    indexer.start()
    assert indexer.pid == pid  # it runs already
    indexer.stop()
    assert indexer.pid is None
    assert not psutil.pid_exists(pid)  # not even as a zombie
    indexer.stop()
    (root / "b.py").write_text("def second(): pass\n")
    indexer.start()
    wait_for(lambda: index.symbols(["second"], "python"))


def test_it_ends_with_its_server_with_all_its_processes(root: Path, database: Path) -> None:
    write_many(root, 2000)
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, root, database], stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    indexer = psutil.Process(int(server.stdout.readline()))
    wait_for(indexer.children)
    pids = [indexer.pid, *(child.pid for child in indexer.children())]
    server.kill()
    server.communicate()
    wait_for(lambda: all(map(is_gone, pids)))


def test_killed_in_the_middle_it_goes_on_where_it_was(
    root: Path, database: Path, index: WorkspaceIndex, start: Callable[[], IndexerProcess]
) -> None:
    write_many(root, 2000)
    indexer = start()
    wait_for(lambda: index.num_files)
    assert indexer.pid is not None
    os.kill(indexer.pid, signal.SIGKILL)
    wait_for(lambda: indexer.pid is None)
    assert 0 < index.num_files < 2000
    indexer.start()
    wait_for(lambda: index.num_files == 2000)
    indexer.stop()
    fresh = database.with_name("fresh.sqlite")
    with closing(IndexStore(connect_to_write(fresh))) as store:
        update(store, root)
    assert content(database) == content(fresh)


def test_a_damaged_database_is_built_anew(
    root: Path, database: Path, index: WorkspaceIndex, start: Callable[[], IndexerProcess]
) -> None:
    (root / "a.py").write_text("def first(): pass\n")
    indexer = start()
    wait_for(lambda: index.num_files)
    indexer.stop()
    database.write_bytes(b"no database" * 1000)
    database.with_name(f"{database.name}-wal").unlink()  # it still held every page
    index.close()  # what it has in memory is whole
    assert index.num_files == 0
    indexer.start()
    wait_for(lambda: index.symbols(["first"], "python"))


def test_of_two_indexers_one_works_and_the_other_takes_over(
    root: Path, index: WorkspaceIndex, start: Callable[[], IndexerProcess]
) -> None:
    (root / "a.py").write_text("def first(): pass\n")
    first, second = start(), start()
    wait_for(lambda: index.num_files)
    assert first.pid is not None and second.pid is not None
    (root / "b.py").write_text("def second(): pass\n")
    wait_for(lambda: index.symbols(["second"], "python"))
    # Which of the two came first is not said: after either's end the other works alone.
    first.stop()
    (root / "c.py").write_text("def third(): pass\n")
    wait_for(lambda: index.symbols(["third"], "python"))
    first.start()
    second.stop()
    (root / "d.py").write_text("def fourth(): pass\n")
    wait_for(lambda: index.symbols(["fourth"], "python"))
