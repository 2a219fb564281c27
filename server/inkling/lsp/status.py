"""`inkling/status` and `inkling/didChangeStatus`: what completes, and why there was nothing."""

import dataclasses
from typing import Any

from inkling.lsp.language_server import InklingServer


async def status(ls: InklingServer, params: Any) -> dict[str, Any]:
    """The newest status (see `StatusReport`) and what has been counted (see `Counters`)."""
    counters = (await ls.completer()).counters
    return {**ls.status.report, "counters": dataclasses.asdict(counters)}
