"""A completer that follows a script: no engine, no model, no waiting."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from pathlib import Path

from inkling.completer import Status
from inkling.completions import Counters
from inkling.config import Settings
from inkling.core import Completion, CompletionRequest, DocumentSnapshot
from inkling.function.author import FunctionWriting
from inkling.function.edit import Edit

Step = str | asyncio.Event | Exception


class FakeCompleter:
    """`script` says what a request does: show a longer text, wait for an event, or raise. The last
    text is the final one; without any, the silence is "scripted"."""

    def __init__(self, settings: Settings, on_status: Callable[[Status], None]) -> None:
        self.settings = settings
        self.on_status = on_status
        self.script: Callable[[CompletionRequest], Iterable[Step]] = lambda request: ["done"]
        self.requests: list[CompletionRequest] = []
        self.counters = Counters()
        self.num_ended = 0
        self.accepted_ids: list[str] = []
        self.closed_uris: list[str] = []
        self.roots: list[Path] = []
        self.is_warm = False
        self.is_closed = False

    async def complete(self, request: CompletionRequest) -> AsyncGenerator[Completion, None]:
        self.requests.append(request)
        completion_id, text = f"id{len(self.requests)}", ""
        try:
            for step in self.script(request):
                if isinstance(step, str):
                    text = step
                    yield Completion(completion_id, request.offset, text, is_final=False)
                elif isinstance(step, asyncio.Event):
                    await step.wait()
                else:
                    raise step
            silence = "" if text else "scripted"
            self.on_status(Status("ready", "Fake model", "fake", silence, "this machine"))
            yield Completion(completion_id, request.offset, text, is_final=True, silence=silence)
        finally:
            self.num_ended += 1

    async def describes_function(self, document: DocumentSnapshot, offset: int) -> bool:
        return document.text[:offset].endswith("# a function")

    async def write_function(
        self, request: CompletionRequest
    ) -> AsyncGenerator[FunctionWriting, None]:
        """Each text of the script is what is written so far; the last one is inserted at the offset.
        Without any, the silence is "scripted"."""
        self.requests.append(request)
        text = ""
        try:
            for step in self.script(request):
                if isinstance(step, str):
                    text = step
                    yield FunctionWriting(text.count("\n") + 1)
                elif isinstance(step, asyncio.Event):
                    await step.wait()
                else:
                    raise step
            edits = (Edit(request.offset, request.offset, text),) if text else ()
            yield FunctionWriting(edits=edits, silence="" if text else "scripted", is_final=True)
        finally:
            self.num_ended += 1

    def update_settings(self, settings: Settings) -> None:
        self.settings = settings

    async def set_roots(self, roots: Sequence[Path]) -> None:
        self.roots = [*roots]

    def accepted(self, completion_id: str) -> None:
        self.accepted_ids.append(completion_id)

    def trace_page(self) -> str:
        return "# What was sent"

    def closed(self, uri: str) -> None:
        self.closed_uris.append(uri)

    async def warm_up(self) -> None:
        self.is_warm = True

    async def aclose(self) -> None:
        self.is_closed = True
