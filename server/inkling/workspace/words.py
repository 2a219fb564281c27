"""What a function, or a description of one, speaks of: words by which the one is found for the other."""

import re
from functools import lru_cache

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_STOP_WORDS = frozenset(
    {"the", "and", "for", "from", "with", "that", "this", "into", "not", "all", "any", "its", "are"}
    | {"was", "has", "have", "will", "each", "which", "when", "where", "given", "new"}
    # What code says of everything.
    | {"return", "def", "func", "function", "self", "int", "str", "string", "bool", "none", "null"}
    | {"true", "false", "void", "async", "const", "let", "var", "export", "default", "public"}
    | {"private", "static", "class", "type", "list", "dict", "pass", "todo", "raise", "error"}
    | {"throw", "param", "implemented"}
)


def words_of(text: str) -> tuple[str, ...]:
    """What a description or a signature speaks of: lower-case words of three letters and more, names
    taken apart, without those that say nothing and without a plural's s; each once, in order."""
    return tuple(dict.fromkeys(word for it in _WORD.findall(text) if (word := _said(it))))


def words_of_function(name: str, signature: str, doc: str) -> dict[str, bool]:
    """The words of a function, each with whether its name has it."""
    in_name = frozenset(words_of(name))
    return {word: word in in_name for word in words_of(f"{name} {signature} {doc}")}


@lru_cache(maxsize=1 << 15)
def _said(word: str) -> str:
    """A word as it is looked for, "" for one that says nothing."""
    word = word.lower()
    if len(word) > 3 and word.endswith("s") and not word.endswith("ss"):
        word = word[:-1]
    return word if len(word) > 2 and word not in _STOP_WORDS else ""
