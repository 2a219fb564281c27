"""The languages Inkling can parse: grammar and the names of the nodes that matter. Data only.

Single-language grammar wheels, not the language pack: that one downloads grammars at run time. A
language that is not listed still completes, by text and indentation alone.
"""

from dataclasses import dataclass
from functools import cache

from tree_sitter import Language


@dataclass(frozen=True)
class LanguageSyntax:
    """Node types of one grammar, and what a header line looks like in the language."""

    grammar: str
    texts: frozenset[str]  # comments and strings: prose, not code
    header_words: frozenset[str]  # first words of lines that open a block
    openers: tuple[str, ...]  # line ends that open a block whatever the line begins with


_PYTHON = LanguageSyntax(
    grammar="python",
    texts=frozenset({"comment", "string", "string_content"}),
    header_words=frozenset(
        {"async", "class", "def", "elif", "else", "except", "finally", "for", "if", "match"}
        | {"case", "try", "while", "with"}
    ),
    openers=("(", "[", "{"),
)
_ECMASCRIPT_TEXTS = frozenset(
    {"comment", "string", "string_fragment", "template_string", "regex", "jsx_text"}
)
_ECMASCRIPT_WORDS = frozenset(
    {"async", "class", "do", "else", "enum", "export", "for", "function", "if", "interface"}
    | {"namespace", "switch", "try", "while"}
)


def _ecmascript(grammar: str) -> LanguageSyntax:
    return LanguageSyntax(
        grammar,
        _ECMASCRIPT_TEXTS,
        _ECMASCRIPT_WORDS,
        openers=("(", "[", "{", "=>"),
    )


LANGUAGES: dict[str, LanguageSyntax] = {
    "python": _PYTHON,
    "javascript": _ecmascript("javascript"),
    "javascriptreact": _ecmascript("javascript"),
    "typescript": _ecmascript("typescript"),
    "typescriptreact": _ecmascript("tsx"),
}

LANGUAGE_OF_EXTENSION = {
    ".py": "python",
    ".pyi": "python",
    ".js": "javascript",
    ".cjs": "javascript",
    ".mjs": "javascript",
    ".jsx": "javascriptreact",
    ".ts": "typescript",
    ".cts": "typescript",
    ".mts": "typescript",
    ".tsx": "typescriptreact",
}


@cache
def load_grammar(grammar: str) -> Language:
    """The tree-sitter grammar of this name. Imported on first use: each costs some milliseconds."""
    if grammar == "python":
        import tree_sitter_python

        return Language(tree_sitter_python.language())
    if grammar == "javascript":
        import tree_sitter_javascript

        return Language(tree_sitter_javascript.language())
    import tree_sitter_typescript

    if grammar == "typescript":
        return Language(tree_sitter_typescript.language_typescript())
    return Language(tree_sitter_typescript.language_tsx())
