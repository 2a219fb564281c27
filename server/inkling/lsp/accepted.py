"""`inkling.accepted`: the command of every item, by which an editor says that it was accepted."""

from typing import Any

from inkling.lsp.language_server import InklingServer


def accepted(ls: InklingServer, completion_id: str, *part: Any) -> None:
    """Count it. A second argument tells that the user took so many characters (code points) of what
    was shown, from its start. An id that is not known is ignored."""
    num_chars = part[0] if part and isinstance(part[0], int) else None
    ls.acceptances.accept(completion_id, num_chars)
    if num_chars is None:
        ls.start(_tell(ls, completion_id))


async def _tell(ls: InklingServer, completion_id: str) -> None:
    (await ls.completer()).accepted(completion_id)
