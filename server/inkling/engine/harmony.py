"""Harmony on the engine's side: a conversation → token ids, and channels out of an answer."""

from inkling.engine.bodies import ChatMessage
from inkling.tokenizer import Tokenizer

# Between messages of one answer the model writes `end`; only these end the answer.
CHAT_STOP_NAMES = ("<|return|>", "<|call|>", "<|endoftext|>")


def chat_stop_ids(tokenizer: Tokenizer) -> frozenset[int]:
    """Ids that end an assistant's whole answer."""
    return frozenset(tokenizer.special[n] for n in CHAT_STOP_NAMES if n in tokenizer.special)


def render_chat(tokenizer: Tokenizer, messages: list[ChatMessage], system: str) -> list[int]:
    """Token ids of a conversation, with the assistant's turn opened at the end.

    Harmony's system message is the model's own (`system`); what OpenAI's API calls so is Harmony's
    developer message.
    """
    special, encode = tokenizer.special, tokenizer.encode
    ids: list[int] = []
    for message in [ChatMessage(role="system", content=system), *messages]:
        is_instruction = bool(ids) and message.role in ("system", "developer")
        role = "developer" if is_instruction else message.role
        content = f"# Instructions\n\n{message.content}" if is_instruction else message.content
        ids += [special["<|start|>"], *encode(role)]
        if role == "assistant":
            ids += [special["<|channel|>"], *encode("final")]
        ids += [special["<|message|>"], *encode(content), special["<|end|>"]]
    return [*ids, special["<|start|>"], *encode("assistant")]


class ChannelReader:
    """Follows the channels of an answer, token by token."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._header: list[int] | None = []  # ids of a header being read, None inside a message
        self._channel = "final"

    def read(self, token_id: int) -> str | None:
        """The channel that a token is content of, None for headers and control tokens."""
        special = self._tokenizer.special
        if token_id == special["<|message|>"]:
            text = self._tokenizer.decode(self._header or [])
            self._channel = "analysis" if "analysis" in text else "final"
            self._header = None
        elif token_id in (special["<|start|>"], special["<|end|>"], special["<|channel|>"]):
            self._header = []
        elif self._header is not None:
            self._header.append(token_id)
        elif not self._tokenizer.token_bytes(token_id):
            return None
        else:
            return self._channel
        return None
