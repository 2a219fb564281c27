"""The corpus as projects on disk, each with its index: the workspaces that training prompts come from."""

import contextlib
import os
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from inkling.workspace.database import connect_to_write, database_of
from inkling.workspace.store import IndexStore
from inkling.workspace.updates import update
from inkling.workspace.workspace import Workspace
from training.documents import Document

OPEN_WORKSPACES = 16


class Projects:
    """One folder for each package. What is read of it, any number of processes may read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._open: dict[str, Workspace] = {}

    def root_of(self, package: str) -> Path:
        """The folder of a package ("ecosystem:name")."""
        return self._folder / package.replace(":", "-").replace("/", "+")

    def lay_out(self, documents: Sequence[Document]) -> None:
        """Write the packages' files, and index each package into the user's cache, as for an editor."""
        packages = defaultdict(list)
        for document in documents:
            packages[self.root_of(document.package)].append(document)
        # The largest first: the last ones then end together.
        longest = sorted(packages.items(), key=lambda it: -sum(len(d.text) for d in it[1]))
        with ProcessPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(_lay_out, *zip(*longest, strict=True)))

    def workspace(self, package: str) -> Workspace:
        """The workspace of a package, as a server that has it open sees it."""
        workspace = self._open.pop(package, None) or Workspace(self.root_of(package))
        self._open[package] = workspace
        if len(self._open) > OPEN_WORKSPACES:
            self._open.pop(next(iter(self._open))).index.close()
        return workspace


def _lay_out(root: Path, documents: Sequence[Document]) -> None:
    for document in documents:
        file = root / document.path
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.exists() or file.read_text(encoding="utf-8") != document.text:
            file.write_text(document.text, encoding="utf-8")
    with contextlib.closing(IndexStore(connect_to_write(database_of(root)))) as store:
        update(store, root)
