"""`inkling.accepted`: the command of every item, by which an editor says that it was accepted."""

from inkling.lsp.language_server import InklingServer


def accepted(ls: InklingServer, completion_id: str) -> None:
    """Tell the completer. An id it does not know is ignored."""
    ls.start(_tell(ls, completion_id))


async def _tell(ls: InklingServer, completion_id: str) -> None:
    (await ls.completer()).accepted(completion_id)
