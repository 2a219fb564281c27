"""Hidden reasoning before an answer, in Harmony's channels, as token ids.

    … <|start|>assistant<|channel|>analysis<|message|> what the model thinks
    <|end|><|start|>assistant<|channel|>final<|message|> tail, and what it writes

What is thought is asked for with the first line alone, so that the answer starts from its KV.
"""

from collections.abc import Sequence

from inkling.prompt.plan import Prompt
from inkling.tokenizer import Tokenizer

# Tokens of a prompt with reasoning beside those of the prompt and what is thought.
NUM_MARKS = 8


def reasons(kind: str) -> bool:
    """Whether a model of this kind (`EngineModel.kind`) has learnt to reason."""
    return kind not in ("demo", "stub")


def reasoning_prompt(prompt: Prompt, tokenizer: Tokenizer) -> Prompt:
    """What to ask for the thoughts before the answer that `prompt` asks for."""
    opened, _ = _split(prompt, tokenizer)
    special = tokenizer.special
    channel = [special["<|channel|>"], *tokenizer.encode("analysis"), special["<|message|>"]]
    return Prompt([*opened, *channel], 0)


def prompt_after(thoughts: Sequence[int], prompt: Prompt, tokenizer: Tokenizer) -> Prompt:
    """`prompt` as it is asked once the model has thought: it begins with `reasoning_prompt`'s ids
    and the thoughts'."""
    _, answer = _split(prompt, tokenizer)
    asked, special = reasoning_prompt(prompt, tokenizer), tokenizer.special
    turn = [special["<|end|>"], special["<|start|>"], *tokenizer.encode("assistant")]
    return Prompt([*asked.token_ids, *thoughts, *turn, *answer], prompt.healing)


def _split(prompt: Prompt, tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
    """A prompt up to the assistant's role, and from its channel on. Code holds no special tokens, so
    the last mark of a channel is the assistant's."""
    ids, mark = prompt.token_ids, tokenizer.special["<|channel|>"]
    at = len(ids) - 1 - ids[::-1].index(mark)
    return ids[:at], ids[at:]
