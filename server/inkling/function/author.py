"""From a described function to the edits that write it. `write_function` is the list of steps."""

import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from functools import partial

from inkling.core import CompletionRequest, DocumentSnapshot, TriggerKind
from inkling.errors import InklingError
from inkling.function.edit import Edit, breaks_nothing, with_line_ends_of
from inkling.function.formatting import formatted_edit
from inkling.function.imports import import_edits
from inkling.function.place import FunctionPlace, function_place
from inkling.preparation import EditEpisode, parsed
from inkling.silence import reason_for_silence
from inkling.writer import Writer

NO_PLACE = "there is no comment or signature of a function still to be written at the cursor."
INVALID = "what the model wrote is not valid code here: say more in the comment and try again."


@dataclass(frozen=True)
class FunctionWriting:
    """How far it is: `num_lines` written. The last state has the `edits`, which belong together and
    are for the document that was asked about, or `silence`, a sentence that says why there are none."""

    num_lines: int = 0
    edits: tuple[Edit, ...] = ()
    silence: str = ""
    is_final: bool = False


async def write_function(
    writer: Writer, request: CompletionRequest
) -> AsyncGenerator[FunctionWriting, None]:
    """Write the function that the request's document describes at its offset.

    Expected faults never raise: they end in a final state with its `silence`. Closing the iterator
    ends the model's work.
    """
    try:
        async with contextlib.aclosing(_write(writer, request)) as states:
            async for state in states:
                yield state
    except InklingError as error:
        yield FunctionWriting(silence=str(error), is_final=True)


async def _write(
    writer: Writer, request: CompletionRequest
) -> AsyncGenerator[FunctionWriting, None]:
    document = request.document
    if reason := reason_for_silence(writer.settings, document):
        yield FunctionWriting(silence=f"{reason}: no function is written here.", is_final=True)
        return
    episode = EditEpisode()
    place = await writer.in_thread(partial(described, document, request.offset, episode))
    if place is None:
        yield FunctionWriting(silence=NO_PLACE, is_final=True)
        return
    before, behind = place.around(document.text)
    there = replace(document, text=before + behind)
    asked = replace(request, document=there, offset=len(before), trigger=TriggerKind.INVOKED)
    ready = await writer.prepare_function(asked)
    generation = writer.begin(ready)
    try:
        async with contextlib.aclosing(generation.states()) as states:
            async for _ in states:
                if generation.text.strip():
                    yield FunctionWriting(generation.text.strip().count("\n") + 1)
    finally:
        generation.stop()
    if generation.failure is not None:
        raise generation.failure
    text = _as_placed(generation.text, place)
    if not text:
        silence = f"the model wrote no function ({generation.silence or 'it was ended'})."
        yield FunctionWriting(silence=silence, is_final=True)
        return
    edit = Edit(place.start, place.end, place.lead + text + place.tail)
    if not await writer.in_thread(partial(breaks_nothing, document, (edit,))):
        yield FunctionWriting(silence=INVALID, is_final=True)
        return
    workspace = writer.workspaces.of(document.uri)
    root = workspace.root if workspace is not None else None
    formatted = await formatted_edit(document, place, edit, root)
    imports = await writer.in_thread(partial(import_edits, document, place, formatted, workspace))
    for edits in ((*imports, formatted), (formatted,), (edit,)):
        if await writer.in_thread(partial(breaks_nothing, document, edits)):
            break
    yield FunctionWriting(
        num_lines=text.count("\n") + 1,
        edits=tuple(replace(it, text=with_line_ends_of(document, it.text)) for it in edits),
        is_final=True,
    )


def described(
    document: DocumentSnapshot, offset: int, episode: EditEpisode
) -> FunctionPlace | None:
    """The function that is described at an offset. What the episode knows of the document's syntax
    is used, and kept."""
    episode.tree = parsed(document, offset, episode.tree)
    return function_place(episode.tree, document.text, offset)


def _as_placed(text: str, place: FunctionPlace) -> str:
    """The model's text without blank lines around it: `lead` has its first line's indentation."""
    text = text.rstrip()
    first_line = text.lstrip("\n")
    return text if first_line == text else first_line.removeprefix(place.indent)
