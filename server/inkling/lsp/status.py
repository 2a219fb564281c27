"""`inkling/status` and `inkling/didChangeStatus`: what completes, and why there was nothing."""

from typing import Any

from inkling.lsp.language_server import InklingServer


def status(ls: InklingServer, params: Any) -> dict[str, str]:
    """The newest status: see `StatusReport`."""
    return ls.status.report
