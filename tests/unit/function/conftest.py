from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from inkling.workspace.database import connect_to_write, database_of
from inkling.workspace.store import IndexStore
from inkling.workspace.updates import update
from inkling.workspace.workspace import Workspace
from tests.unit.workspace.folders import draw

Indexed = Callable[[str], Workspace]


@pytest.fixture
def indexed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Indexed]:
    """A workspace with the files of a picture, indexed."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root = (tmp_path / "work").resolve()
    root.mkdir()
    workspace = Workspace(root)

    def build(picture: str) -> Workspace:
        draw(root, picture)
        store = IndexStore(connect_to_write(database_of(root)))
        update(store, root)
        store.close()
        return workspace

    yield build
    workspace.index.close()
