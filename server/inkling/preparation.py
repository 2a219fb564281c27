"""From a snapshot to what the engine is asked: syntax, line or block, related code, prompt.

Pure work on snapshots that may take milliseconds: the completer runs it in its context thread, which is
the only user of an edit episode.
"""

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass

from inkling.client import EngineModel
from inkling.config import Settings
from inkling.context.related import related_code
from inkling.context.syntax import SyntaxTree, extent_at, parse
from inkling.core import Chunk, CompletionRequest, DocumentSnapshot, Extent
from inkling.function.examples import similar_functions
from inkling.function.place import FunctionPlace, function_place
from inkling.prompt.harmony import wording_of
from inkling.prompt.plan import CHARS_PER_TOKEN, Prompt, PromptPlan, chunk_budget, make_plan
from inkling.prompt.redaction import redacted
from inkling.silence import reason_for_silence
from inkling.tokenizer import Tokenizer
from inkling.workspace.workspace import Workspace

log = logging.getLogger(__name__)

# A line longer than this (characters) is data: parsing it again at each key could take a second.
MAX_PARSED_LINE = 20_000
# Longer open documents are not searched for related chunks.
MAX_OTHER_CHARS = 200_000
# Related chunks are chosen again once the cursor is this far (characters) from where they were.
CHUNKS_REACH = 4000
# What functions like a described one may take of the room for related chunks.
EXAMPLES_SHARE = 0.4


@dataclass(frozen=True)
class Target:
    """The model that answers and its vocabulary."""

    model: EngineModel
    tokenizer: Tokenizer


@dataclass
class EditEpisode:
    """What is kept of one document from request to request: also the last description of a function
    in it and the examples for that."""

    plan: PromptPlan | None = None
    tree: SyntaxTree | None = None
    description: str = ""
    examples: tuple[Chunk, ...] = ()


@dataclass(frozen=True)
class Prepared:
    """What to ask the engine for, and the document's syntax tree (None: not parsed). `is_function`:
    the document describes a function at the cursor."""

    extent: Extent
    prompt: Prompt
    tree: SyntaxTree | None
    is_function: bool = False


def prepare(
    request: CompletionRequest,
    episode: EditEpisode,
    target: Target,
    settings: Settings,
    workspace: Workspace | None = None,
) -> Prepared:
    """Prepare one request. Of the episode's plan all is kept that still stands. `workspace` is the
    folder that the document belongs to, if the editor has one open."""
    document, offset = request.document, request.offset
    tree = episode.tree = parsed(document, offset, episode.tree)
    tokenizer, plan = target.tokenizer, episode.plan
    extent = extent_at(tree, document.text, offset)
    is_block = extent is Extent.BLOCK
    place = function_place(tree, document.text, offset) if is_block else None
    longest = max(settings.line_tokens, settings.block_tokens)
    context_len = target.model.context_len
    budget = min(settings.prompt_tokens, context_len - min(longest, context_len // 2))
    room = int(chunk_budget(budget, document.text) * CHARS_PER_TOKEN)
    lacks_examples = False
    if place is not None and place.description != episode.description:
        episode.examples = _examples(place, document, settings, workspace, room)
        episode.description = place.description
        lacks_examples = plan is not None and not set(episode.examples) <= set(plan.chunks)
    examples = episode.examples if place is not None else ()
    if plan is None or lacks_examples or not plan.holds(tokenizer, document, offset):
        is_far = plan is not None and abs(plan.chunks_offset - offset) > CHUNKS_REACH
        chunks = None
        if plan is None or is_far or lacks_examples:
            room -= sum(len(it.text) + len(it.path) for it in examples)
            related = _chunks(request, tree, settings, workspace, room)
            chunks = (*examples, *(it for it in related if it not in examples))
        has_style = workspace is not None and target.model.kind != "demo"
        plan = episode.plan = make_plan(
            tokenizer,
            wording_of(target.model.kind),
            document,
            offset,
            chunks,
            budget,
            previous=plan,
            style=workspace.style(document.language) if workspace and has_style else "",
        )
    prompt = plan.prompt(tokenizer, document, offset)
    return Prepared(extent, prompt, tree, is_function=place is not None)


def parsed(document: DocumentSnapshot, offset: int, old: SyntaxTree | None) -> SyntaxTree | None:
    """The document's syntax tree, from an `old` one of it; None for one that is data at `offset`."""
    is_parsed = _line_len(document.text, offset) <= MAX_PARSED_LINE
    return parse(document.language, document.text, old, offset) if is_parsed else None


def prepare_anew(
    request: CompletionRequest,
    episode: EditEpisode,
    target: Target,
    settings: Settings,
    workspace: Workspace | None = None,
) -> tuple[EditEpisode, Prompt] | None:
    """What the episode would be if it began now: related code chosen again, the anchor where the cursor
    is. None where that gives the prompt there is. Arguments as for `prepare`."""
    anew = EditEpisode(tree=episode.tree)
    prompt = prepare(request, anew, target, settings, workspace).prompt
    is_known = anew.plan is None or anew.plan == episode.plan
    return None if is_known else (anew, prompt)


def _examples(
    place: FunctionPlace,
    document: DocumentSnapshot,
    settings: Settings,
    workspace: Workspace | None,
    room: int,
) -> tuple[Chunk, ...]:
    """Functions like the one that is described, for a prompt with `room` characters of chunks."""
    if workspace is None or not settings.related_code:
        return ()
    share = int(room * EXAMPLES_SHARE)
    with _at_its_own_cost(document):
        found = similar_functions(place.description, document, workspace, share)
        return tuple(Chunk(it.path, redacted(it.text)) for it in found)
    return ()


def _chunks(
    request: CompletionRequest,
    tree: SyntaxTree | None,
    settings: Settings,
    workspace: Workspace | None,
    room: int,
) -> tuple[Chunk, ...]:
    """Chunks of other files for the prompt, `room` characters in all."""
    if not settings.related_code:
        return ()
    others = _usable(request.others, settings)
    document, offset = request.document, request.offset
    with _at_its_own_cost(document):
        return related_code(document, offset, tree, others, request.recent, workspace, room)
    return ()


@contextlib.contextmanager
def _at_its_own_cost(document: DocumentSnapshot) -> Iterator[None]:
    """Related code is read from files that anybody wrote: a fault there costs it, not the completion."""
    try:
        yield
    except Exception:
        log.exception("no related code for %s", document.path)


def _usable(others: tuple[DocumentSnapshot, ...], settings: Settings) -> Iterator[DocumentSnapshot]:
    """The open documents whose text may stand in a prompt."""
    for other in others:
        if len(other.text) <= MAX_OTHER_CHARS and not reason_for_silence(settings, other):
            yield other


def _line_len(text: str, offset: int) -> int:
    """Length of the line around an offset."""
    start, end = text.rfind("\n", 0, offset) + 1, text.find("\n", offset)
    return (end if end >= 0 else len(text)) - start
