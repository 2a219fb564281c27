"""From a snapshot to what the engine is asked: syntax, line or block, related code, prompt.

Pure work on snapshots that may take milliseconds: the completer runs it in its context thread, which is
the only user of an edit episode.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from inkling.client import EngineModel
from inkling.config import Settings
from inkling.context.chunks import rank_chunks
from inkling.context.neighbours import neighbours
from inkling.context.syntax import SyntaxTree, extent_at, parse
from inkling.core import Chunk, CompletionRequest, DocumentSnapshot, Extent
from inkling.prompt.harmony import wording_of
from inkling.prompt.plan import Prompt, PromptPlan, make_plan
from inkling.silence import reason_for_silence
from inkling.tokenizer import Tokenizer

# A line longer than this (characters) is data: parsing it again at each key could take a second.
MAX_PARSED_LINE = 20_000
# Longer open documents are not searched for related chunks.
MAX_OTHER_CHARS = 200_000
# Related chunks are chosen again once the cursor is this far (characters) from where they were.
CHUNKS_REACH = 4000


@dataclass(frozen=True)
class Target:
    """The model that answers and its vocabulary."""

    model: EngineModel
    tokenizer: Tokenizer


@dataclass
class EditEpisode:
    """What is kept of one document from request to request."""

    plan: PromptPlan | None = None
    tree: SyntaxTree | None = None


@dataclass(frozen=True)
class Prepared:
    """What to ask the engine for, and the document's syntax tree (None: not parsed)."""

    extent: Extent
    prompt: Prompt
    tree: SyntaxTree | None


def prepare(
    request: CompletionRequest, episode: EditEpisode, target: Target, settings: Settings
) -> Prepared:
    """Prepare one request. Of the episode's plan all is kept that still stands."""
    document, offset = request.document, request.offset
    is_parsed = _line_len(document.text, offset) <= MAX_PARSED_LINE
    tree = parse(document.language, document.text, episode.tree) if is_parsed else None
    episode.tree = tree
    tokenizer, plan = target.tokenizer, episode.plan
    if plan is None or not plan.holds(tokenizer, document, offset):
        longest = max(settings.line_tokens, settings.block_tokens)
        context_len = target.model.context_len
        room = context_len - min(longest, context_len // 2)
        is_near = plan is not None and abs(plan.chunks_offset - offset) <= CHUNKS_REACH
        plan = episode.plan = make_plan(
            tokenizer,
            wording_of(target.model.kind),
            document,
            offset,
            None if is_near else _related_code(request, tree, settings),
            min(settings.prompt_tokens, room),
            previous=plan,
        )
    extent = extent_at(tree, document.text, offset)
    return Prepared(extent, plan.prompt(tokenizer, document, offset), tree)


def _related_code(
    request: CompletionRequest, tree: SyntaxTree | None, settings: Settings
) -> tuple[Chunk, ...]:
    """Chunks of other files for the prompt, best first."""
    if not settings.related_code:
        return ()
    document, offset = request.document, request.offset
    others = (*_usable(request.others, settings), *neighbours(document, tree))
    return rank_chunks(document.text, offset, others)


def _usable(others: tuple[DocumentSnapshot, ...], settings: Settings) -> Iterator[DocumentSnapshot]:
    """The open documents whose text may stand in a prompt."""
    for other in others:
        if len(other.text) <= MAX_OTHER_CHARS and not reason_for_silence(settings, other):
            yield other


def _line_len(text: str, offset: int) -> int:
    """Length of the line around an offset."""
    start, end = text.rfind("\n", 0, offset) + 1, text.find("\n", offset)
    return (end if end >= 0 else len(text)) - start
