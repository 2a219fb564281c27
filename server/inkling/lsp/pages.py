"""`inkling/trace` and `inkling/statistics`: pages that an editor shows as they are, in Markdown."""

import asyncio
from datetime import date, timedelta
from typing import Any

from inkling.lsp.language_server import InklingServer
from inkling.statistics import statistics_page

NUM_DAYS = 30


async def trace(ls: InklingServer, params: Any) -> dict[str, str]:
    """What was sent to the model last."""
    return {"text": (await ls.completer()).trace_page()}


async def statistics(ls: InklingServer, params: Any) -> dict[str, str]:
    """What was shown, accepted and kept, as far as it is written (see `inkling.statistics`)."""
    since = date.today() - timedelta(days=NUM_DAYS - 1)
    counts = await asyncio.to_thread(ls.statistics.by_language, since)
    return {"text": statistics_page(counts, NUM_DAYS)}
