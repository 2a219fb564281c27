"""Where the user will be after accepting: what to have written before they get there. Pure functions."""

from dataclasses import replace

from inkling.core import CompletionRequest, TriggerKind


def after_accepting(request: CompletionRequest, text: str) -> CompletionRequest:
    """The request that follows once `text` (line ends `\\n`) is accepted at `request`."""
    has_returns = "\r\n" in request.document.text
    return _after(request, text.replace("\n", "\r\n") if has_returns else text)


def after_enter(request: CompletionRequest) -> CompletionRequest | None:
    """The request that follows once Enter is typed and the editor has indented the new line like the
    one above; None where the cursor is not at the end of a line with something on it."""
    text, offset = request.document.text, request.offset
    line = text[text.rfind("\n", 0, offset) + 1 : offset]
    line_end = "\r\n" if text.startswith("\r\n", offset) else "\n"
    is_at_end = offset == len(text) or text.startswith(line_end, offset)
    if not line.strip() or not is_at_end:
        return None
    return _after(request, line_end + line[: len(line) - len(line.lstrip())])


def _after(request: CompletionRequest, text: str) -> CompletionRequest:
    document, offset = request.document, request.offset
    changed = document.text[:offset] + text + document.text[offset:]
    return CompletionRequest(
        replace(document, text=changed),
        offset + len(text),
        TriggerKind.AUTOMATIC,
        request.others,
        request.recent,
    )
