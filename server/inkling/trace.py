"""What was sent to the model last, for the user to see. In memory only. Event loop only."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from inkling.client import EngineModel
from inkling.core import Usage
from inkling.prompt.redaction import REDACTED
from inkling.tokenizer import Tokenizer

REMEMBERED = 20


@dataclass
class ModelCall:
    """One call of a model. `purpose` says what it was for; `answer` and `usage` come as it runs."""

    path: str
    purpose: str
    model: EngineModel
    tokenizer: Tokenizer
    prompt: Sequence[int]  # token ids
    started: datetime = field(default_factory=datetime.now)
    answer: str = ""
    usage: Usage | None = None


class Trace:
    """The last calls, the newest last."""

    def __init__(self) -> None:
        self._calls: deque[ModelCall] = deque(maxlen=REMEMBERED)

    def add(self, call: ModelCall) -> None:
        """Remember a call that begins."""
        self._calls.append(call)

    def page(self) -> str:
        """Markdown: each call with its prompt as sent and what came back, the newest first."""
        if not self._calls:
            return "# What was sent\n\nNothing yet.\n"
        head = (
            f"# What was sent\n\nThe last {len(self._calls)} calls of the model, the newest first. "
            f"This list is in this window's memory and nowhere else; `{REDACTED}` stands where a "
            "secret was left out.\n"
        )
        return "\n".join([head, *(_section(call) for call in reversed(self._calls))])


def _section(call: ModelCall) -> str:
    prompt = call.tokenizer.shown(call.prompt)
    num_redacted = prompt.count(REDACTED)
    facts = [f"to {call.model.description}, {call.model.where}", _cost(call)]
    if num_redacted:
        facts.append(f"**{num_redacted} redacted**")
    return "\n".join(
        [
            f"## {call.started:%H:%M:%S} {call.path}: {call.purpose}\n",
            "; ".join(facts) + "\n",
            _fenced(prompt),
            "Answer:\n",
            _fenced(call.answer),
        ]
    )


def _cost(call: ModelCall) -> str:
    if call.usage is None:
        return f"prompt of {len(call.prompt)} tokens"
    usage = call.usage
    return (
        f"prompt of {usage.prompt_tokens} tokens, {usage.reused} of them from the KV cache, "
        f"first token after {usage.ttft_ms:.0f} ms"
    )


def _fenced(text: str) -> str:
    """A code block whose fence the text does not have."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}\n{text}\n{fence}\n"
