"""`inkling/status` and `inkling/didChangeStatus`: what completes, and why there was nothing."""

import dataclasses
from typing import Any

from inkling.lsp.language_server import InklingServer


async def status(ls: InklingServer, params: Any) -> dict[str, Any]:
    """The newest status (see `StatusReport`), what has been counted (see `Counters`), and where the
    engine's log is."""
    from inkling.runtime import log_file

    counters = (await ls.completer()).counters
    return {
        **ls.status.report,
        "counters": dataclasses.asdict(counters),
        "log": str(log_file()),
    }
