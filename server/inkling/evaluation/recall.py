"""Context recall, a figure without a model: which names of the true text stand in the prompt?

Names count that occur elsewhere in the repository: in the rest of the file, or in another file. Those
that do not stand in the rest of the file are the ones that code of other files is there for.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from inkling.client import EngineModel
from inkling.config import Settings
from inkling.context.syntax import parse
from inkling.core import CompletionRequest, DocumentSnapshot
from inkling.evaluation.holes import Hole
from inkling.evaluation.names import names_between, words_in
from inkling.evaluation.sources import Source
from inkling.preparation import EditEpisode, Target, prepare
from inkling.tokenizer import Tokenizer
from inkling.workspace.workspace import Workspace

MIN_NAME_LEN = 3


@dataclass(frozen=True)
class Recall:
    """Of one hole: how many names of the true text occur elsewhere in the repository, and how many
    of them the prompt holds; `*_elsewhere`: of those that the rest of the file does not have."""

    file: str
    names: int
    found: int
    names_elsewhere: int
    found_elsewhere: int


class ContextRecall:
    """Measures prompts of `prompt_tokens` tokens of the demo model's vocabulary: no engine runs.

    `workspace` is the folder at `root`, indexed."""

    def __init__(
        self, root: Path, sources: Sequence[Source], settings: Settings, workspace: Workspace
    ) -> None:
        self._root = root.resolve()
        self._settings = settings
        self._workspace = workspace
        # A name of a hole is in one file anyhow: its own.
        self._num_files_with = Counter(word for it in sources for word in words_in(it.text))
        folder = Path(str(files("inkling.models").joinpath("demo")))
        context_len = settings.prompt_tokens + max(settings.line_tokens, settings.block_tokens)
        model = EngineModel("demo", folder, context_len, "demo", "cpu", "", 0)
        self._target = Target(model, Tokenizer.load(folder))

    def of(self, hole: Hole, *, related_code: bool) -> Recall:
        """Of one hole. Without `related_code` the file's own text gets the whole budget."""
        settings = self._settings.model_copy(update={"related_code": related_code})
        uri = (self._root / hole.source.path).as_uri()
        document = DocumentSnapshot(uri, hole.source.path, hole.source.language, hole.document, 0)
        request = CompletionRequest(document, hole.start)
        workspace = self._workspace if related_code else None
        prompt = prepare(request, EditEpisode(), self._target, settings, workspace).prompt
        in_prompt = words_in(self._target.tokenizer.decode(prompt.token_ids))
        here = words_in(hole.document)
        names = [it for it in _names_of(hole) if it in here or self._num_files_with[it] > 1]
        elsewhere = [name for name in names if name not in here]
        return Recall(
            file=hole.source.path,
            names=len(names),
            found=len(in_prompt.intersection(names)),
            names_elsewhere=len(elsewhere),
            found_elsewhere=len(in_prompt.intersection(elsewhere)),
        )


def _names_of(hole: Hole) -> list[str]:
    """The names in the true text, each once."""
    tree = parse(hole.source.language, hole.source.text)
    if tree is None:
        return []
    start = len(hole.prefix.encode())
    names = names_between(tree, start, start + len(hole.truth.encode()))
    return [name for name in names if len(name) >= MIN_NAME_LEN]
