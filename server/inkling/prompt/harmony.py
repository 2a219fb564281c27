"""Harmony, the message format gpt-oss was trained on, by token ids.

Special tokens are inserted by id and never by text: user code that contains `<|end|>` stays text.
"""

from dataclasses import dataclass

from inkling.core import Chunk
from inkling.tokenizer import Tokenizer


@dataclass(frozen=True)
class Wording:
    """The fixed texts of a prompt. Changing one invalidates every KV cache: they carry no date of
    today, no path, nothing of the user."""

    system: str
    developer: str


# The system message must keep the shape gpt-oss was trained on, so it has a date: a fixed one.
GPT_OSS = Wording(
    system=(
        "You are ChatGPT, a large language model trained by OpenAI.\n"
        "Knowledge cutoff: 2024-06\n"
        "Current date: 2025-08-05\n\n"
        "Reasoning: low\n\n"
        "# Valid channels: analysis, commentary, final. Channel must be included for every message."
    ),
    developer=(
        "# Instructions\n\n"
        "You complete code at the cursor inside an editor. The user gives the file's path, related "
        "code from the same project, the text after the cursor, and the start of the file. Your "
        "answer continues the file from where its start ends: first its next lines exactly as the "
        "user typed them, then what belongs between them and the text after the cursor. Write only "
        "code, without Markdown fences or explanations, in the style of the file. Do not repeat the "
        "text after the cursor; stop where it takes over."
    ),
)

# The demo model learnt exactly these; every token of its small context counts.
DEMO = Wording(system="Inkling demo.", developer="Complete the code.")


def wording_of(kind: str) -> Wording:
    """The wording a model of this kind (`EngineModel.kind`) was trained on."""
    return DEMO if kind == "demo" else GPT_OSS


def _message(tokenizer: Tokenizer, role: str, body: list[int]) -> list[int]:
    special = tokenizer.special
    return [
        special["<|start|>"],
        *tokenizer.encode(role),
        special["<|message|>"],
        *body,
        special["<|end|>"],
    ]


def render_fixed(
    tokenizer: Tokenizer,
    wording: Wording,
    *,
    path: str,
    chunks: tuple[Chunk, ...],
    suffix: str,
    head: str,
    style: str = "",
) -> list[int]:
    """Everything before the tail: system, developer and user messages, and the assistant's opened
    final channel. The caller appends `tokenizer.encode(tail)`. `style`, if any, follows the
    developer's instructions.

    Order in the user message: most stable first. Each part is encoded on its own, so that a part
    that stays keeps its ids whatever follows it.
    """
    encode = tokenizer.encode
    user = encode(f"{path}\n")
    for chunk in chunks:
        user += encode(f"<related {chunk.path}>\n")
        user += encode(chunk.text.replace("\r\n", "\n"))
        user += encode("\n</related>\n")
    user += encode("<after>\n") + encode(suffix) + encode("\n</after>\n<before>\n") + encode(head)
    developer = encode(wording.developer)
    if style:
        developer += encode(f"\n\n# Style\n\n{style}")
    special = tokenizer.special
    return [
        *_message(tokenizer, "system", encode(wording.system)),
        *_message(tokenizer, "developer", developer),
        *_message(tokenizer, "user", user),
        special["<|start|>"],
        *encode("assistant"),
        special["<|channel|>"],
        *encode("final"),
        special["<|message|>"],
    ]
