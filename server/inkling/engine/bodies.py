"""Request bodies: OpenAI's fields that we serve, and our two (`priority`, `healing`)."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from inkling.core import Priority
from inkling.engine.sampling import Sampling


class _Body(BaseModel):
    """Fields that both routes share. Fields of OpenAI's that we do not serve are ignored."""

    model_config = ConfigDict(extra="ignore")

    model: str | None = None
    stream: bool = False
    temperature: Annotated[float, Field(ge=0, le=2)] = 0.0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    seed: Annotated[int | None, Field(ge=0, lt=2**63)] = None
    stop: str | list[str] | None = None
    n: Annotated[int, Field(ge=1, le=8)] = 1
    priority: Literal["interactive", "prefetch", "idle"] = "interactive"

    @property
    def stops(self) -> tuple[str, ...]:
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())

    @property
    def priority_level(self) -> Priority:
        return Priority[self.priority.upper()]


class CompletionBody(_Body):
    """`/v1/completions`. `prompt` is text or token ids; `max_tokens` 0 only fills the KV cache."""

    # Ids first, and the first that fits: anything else looks at thousands of them twice.
    prompt: Annotated[list[int] | str, Field(union_mode="left_to_right")]
    max_tokens: Annotated[int, Field(ge=0)] = 16
    logprobs: Annotated[int | None, Field(ge=0, le=20)] = None
    healing: Annotated[int, Field(ge=0, le=64)] = 0

    @property
    def sampling(self) -> Sampling:
        return Sampling(self.temperature, self.top_p, self.seed, self.logprobs)


class ChatMessage(BaseModel):
    """One message of a conversation, text only."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str


class ChatBody(_Body):
    """`/v1/chat/completions`."""

    messages: Annotated[list[ChatMessage], Field(min_length=1)]
    max_tokens: Annotated[int | None, Field(ge=1)] = None
    max_completion_tokens: Annotated[int | None, Field(ge=1)] = None

    @property
    def token_limit(self) -> int:
        return self.max_completion_tokens or self.max_tokens or 512

    @property
    def sampling(self) -> Sampling:
        return Sampling(self.temperature, self.top_p, self.seed)


def first_problem(errors: list[Any]) -> str:
    """One sentence for a body that does not fit."""
    error = errors[0]
    place = ".".join(str(part) for part in error["loc"]) or "the body"
    return f"{place}: {error['msg'][0].lower()}{error['msg'][1:]}."
