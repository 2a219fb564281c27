"""One workspace folder as the server has it: its index, the process that builds it, its style."""

import asyncio
import logging
import threading
from collections.abc import Sequence
from pathlib import Path

from inkling.context.neighbours import path_of
from inkling.style.profile import Profile, read_profile
from inkling.style.render import render
from inkling.workspace.database import database_of
from inkling.workspace.index import WorkspaceIndex
from inkling.workspace.process import IndexerProcess
from inkling.workspace.scan import scan

log = logging.getLogger(__name__)


class Workspace:
    """A folder of the editor. `start` and `stop` from one thread, the rest from any."""

    def __init__(self, root: Path) -> None:
        self.root = root
        database = database_of(root.resolve())
        self.index = WorkspaceIndex(database)
        self._process = IndexerProcess(root, database)
        self._profile: Profile | None = None
        self._learning: threading.Thread | None = None

    def start(self, *, is_indexed: bool) -> None:
        """Begin to learn the style and, if `is_indexed`, to index, in the background."""
        if is_indexed:
            self._process.start()
        if self._learning is None:
            self._learning = threading.Thread(target=self._learn, name="inkling-style", daemon=True)
            self._learning.start()

    def stop(self) -> None:
        """End what runs."""
        self._process.stop()
        self.index.close()

    def style(self, language: str) -> str:
        """The team's style as the prompt says it, "" until it is known."""
        return render(self._profile, language) if self._profile is not None else ""

    def _learn(self) -> None:
        try:
            self._profile = read_profile(self.root, scan(self.root.resolve()).files)
        except Exception:
            log.exception("the style of %s is not known", self.root)


class Workspaces:
    """The folders that the editor has open. Event loop only."""

    def __init__(self) -> None:
        self._of: dict[Path, Workspace] = {}

    async def set_roots(self, roots: Sequence[Path], *, is_indexed: bool) -> None:
        """Have these folders and no others."""
        for root in self._of.keys() - set(roots):
            await asyncio.to_thread(self._of.pop(root).stop)
        for root in roots:
            workspace = self._of.setdefault(root, Workspace(root))
            await asyncio.to_thread(workspace.start, is_indexed=is_indexed)

    def of(self, uri: str) -> Workspace | None:
        """The innermost folder that a document lies in."""
        file = path_of(uri)
        inside = [root for root in self._of if file is not None and file.is_relative_to(root)]
        return self._of[max(inside, key=lambda root: len(root.parts))] if inside else None

    async def aclose(self) -> None:
        """End what runs for all of them."""
        await self.set_roots((), is_indexed=False)
