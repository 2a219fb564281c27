"""What one server holds: documents, settings, the completer and the requests that run."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from lsprotocol import types
from pygls.lsp.server import LanguageServer
from pygls.uris import to_fs_path

from inkling import __version__
from inkling.core import Completion, CompletionRequest, DocumentSnapshot
from inkling.lsp.acceptance import Acceptances
from inkling.lsp.configuration import Configuration
from inkling.lsp.documents import Documents
from inkling.lsp.line_index import Encoding
from inkling.lsp.protocol import DID_CHANGE_STATUS, InklingProtocol, make_converter
from inkling.lsp.status_report import StatusReport
from inkling.statistics import Statistics

if TYPE_CHECKING:
    from inkling.completer import Status
    from inkling.completions import Counters
    from inkling.config import Settings
    from inkling.function.author import FunctionWriting

logger = logging.getLogger(__name__)


class Completes(Protocol):
    """What the server needs of `inkling.completer.Completer`."""

    counters: "Counters"

    def complete(self, request: CompletionRequest) -> AsyncGenerator[Completion, None]: ...
    async def describes_function(self, document: DocumentSnapshot, offset: int) -> bool: ...
    def write_function(
        self, request: CompletionRequest
    ) -> AsyncGenerator["FunctionWriting", None]: ...
    def update_settings(self, settings: "Settings") -> None: ...
    def accepted(self, completion_id: str) -> None: ...
    def trace_page(self) -> str: ...
    def closed(self, uri: str) -> None: ...
    async def set_roots(self, roots: Sequence[Path]) -> None: ...
    async def warm_up(self) -> None: ...
    async def aclose(self) -> None: ...


MakeCompleter = Callable[["Settings", Callable[["Status"], None]], Completes]


def make_completer(settings: "Settings", on_status: "Callable[[Status], None]") -> Completes:
    """The real completer. Slow (imports): call it in a thread."""
    from inkling.client import EngineClient
    from inkling.completer import Completer

    return Completer(EngineClient(settings.engine), settings, on_status)


class InklingServer(LanguageServer):
    """One editor's server. Event loop only."""

    protocol: InklingProtocol

    def __init__(self, make_completer: MakeCompleter) -> None:
        super().__init__(
            "inkling",
            __version__,
            protocol_cls=InklingProtocol,
            converter_factory=make_converter,
        )
        self.documents = Documents()
        self.statistics = Statistics()
        self.acceptances = Acceptances(self.documents, self.statistics)
        self.configuration = Configuration()
        self.status = StatusReport(lambda it: self.protocol.notify(DID_CHANGE_STATUS, it))
        self.running: dict[str, asyncio.Task[Completion]] = {}
        self.functions: dict[str, asyncio.Task[None]] = {}  # being written, by document
        self.is_shut_down = False
        self._make_completer = make_completer
        self._completer: asyncio.Task[Completes] | None = None
        self._configuring = asyncio.Lock()
        self._background: set[asyncio.Task[None]] = set()

    @property
    def encoding(self) -> Encoding:
        """The unit of positions agreed with the editor."""
        return Encoding(self.server_capabilities.position_encoding)

    @property
    def roots(self) -> list[Path]:
        """The workspace folders that are on disk, in the editor's order."""
        uris = [folder.uri for folder in self.workspace.folders.values()]
        paths = map(to_fs_path, uris or filter(None, [self.workspace.root_uri]))
        return [Path(path) for path in paths if path is not None]

    async def completer(self) -> Completes:
        """The completer, made on first use. Whoever waits for it may be cancelled: it is not."""
        if self._completer is None:
            self._completer = asyncio.create_task(self._start_completer())
        return await asyncio.shield(self._completer)

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do work that no message waits for. A failure is logged."""
        task = asyncio.create_task(_logged(work))
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    async def configure(self) -> None:
        """Read the settings anew and use them from the next request on."""
        completer = await self.completer()
        completer.update_settings(await self._load_settings())

    def silent(self, reason: str) -> types.InlineCompletionList:
        """Nothing to show, and why."""
        self.status.answered(reason)
        return types.InlineCompletionList(items=[])

    def report_server_error(self, error: Exception, source: object) -> None:
        """Log what went wrong outside a request. pygls' own way is a pop-up in the editor."""
        logger.error("%r", error)

    async def aclose(self) -> None:
        """End all work. The server can answer no request afterwards."""
        for task in (*self.running.values(), *self._background):
            task.cancel()
        starting, self._completer = self._completer, None
        if starting is not None and not starting.cancel() and starting.exception() is None:
            await starting.result().aclose()
        await self.acceptances.aclose()

    async def _start_completer(self) -> Completes:
        settings = await self._load_settings()
        return await asyncio.to_thread(self._make_completer, settings, self.status.update)

    async def _load_settings(self) -> "Settings":
        async with self._configuring:
            settings, problems = await asyncio.to_thread(self.configuration.load)
        for problem in problems:
            self.window_show_message(
                types.ShowMessageParams(type=types.MessageType.Warning, message=problem)
            )
        return settings


async def _logged(work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except Exception:
        logger.exception("background work failed")
