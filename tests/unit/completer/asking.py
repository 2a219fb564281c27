"""Requests as pictures (`‸` is the cursor), and what comes of them."""

import asyncio
from collections.abc import Callable

from inkling.completer import Completer
from inkling.core import Completion, CompletionRequest, TriggerKind
from tests.pictures import at_cursor, document


def request(
    picture: str,
    path: str = "src/app.py",
    trigger: TriggerKind = TriggerKind.AUTOMATIC,
    num_alternatives: int = 0,
) -> CompletionRequest:
    text, offset = at_cursor(picture)
    return CompletionRequest(
        document(text, path=path), offset, trigger, num_alternatives=num_alternatives
    )


async def states(completer: Completer, asked: str | CompletionRequest) -> list[Completion]:
    asked = request(asked) if isinstance(asked, str) else asked
    return [state async for state in completer.complete(asked)]


async def final(completer: Completer, asked: str | CompletionRequest) -> Completion:
    return (await states(completer, asked))[-1]


async def until(holds: Callable[[], bool]) -> None:
    """Wait until `holds()`, which work under way makes so."""
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.002)
