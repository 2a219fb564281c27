"""The languages Inkling can parse: one file each in `queries/`, which names grammar, ids and words.

A file is a tree-sitter query (`definitions.py` says which captures it has) that begins with
settings as comments, `; key: words`, up to an empty line; lines of one key add up:

    inherits       another file, whose settings and patterns hold here too
    grammar        module, or module.function, of the wheel that brings the grammar
    language       an LSP language id and its files' extensions, once for each id
    prose          node types of comments and strings
    headers        first words of lines that open a block
    openers        line ends that open a block whatever the line begins with
    closers, continuations, labels, leading, heredoc    see `scope.BlockRules`

Single-language grammar wheels, not the language pack: that one downloads grammars at run time. A
language that is not listed still completes, by text and indentation alone.
"""

import logging
import re
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.resources import files

from tree_sitter import Language, Query, QueryError

from inkling.context.scope import DEFAULT_RULES, BlockRules

log = logging.getLogger(__name__)

_FOLDER = files("inkling.context").joinpath("queries")
_WORDS_OF_BLOCKS = ("closers", "continuations", "labels", "leading")
_SETTING = re.compile(r"^; (\w+): (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class LanguageSyntax:
    """Node types of one grammar, and what a header line looks like in the language.

    Languages of one `family` import each other's files.
    """

    grammar: str
    family: str
    languages: tuple[str, ...]  # LSP language ids, each followed by its files' extensions
    texts: frozenset[str]  # comments and strings: prose, not code
    header_words: frozenset[str]
    openers: tuple[str, ...]
    block: BlockRules
    query: str


def _read(name: str) -> tuple[str, dict[str, tuple[str, ...]], str]:
    """Family, settings and query of one file, with what it inherits."""
    text = _FOLDER.joinpath(f"{name}.scm").read_text(encoding="utf-8")
    words: dict[str, tuple[str, ...]] = {}
    settings = text.partition("\n\n")[0]
    for key, value in _SETTING.findall(settings):
        words[key] = words.get(key, ()) + tuple(value.split())
    if "inherits" not in words:
        return name, words, text
    family, inherited, query = _read(words["inherits"][0])
    return family, inherited | words, query + text


def _syntax(name: str) -> LanguageSyntax:
    family, words, query = _read(name)
    rules = {key: words[key] for key in _WORDS_OF_BLOCKS if key in words}
    heredoc = re.compile(words["heredoc"][0]) if "heredoc" in words else None
    return LanguageSyntax(
        grammar=words["grammar"][0],
        family=family,
        languages=words["language"],
        texts=frozenset(words["prose"]),
        header_words=frozenset(words["headers"]),
        openers=words["openers"],
        block=BlockRules(**rules, heredoc=heredoc),
        query=query,
    )


def _by_language() -> tuple[dict[str, LanguageSyntax], dict[str, str]]:
    syntax_of: dict[str, LanguageSyntax] = {}
    language_of_extension: dict[str, str] = {}
    for file in sorted(_FOLDER.iterdir(), key=lambda file: file.name):
        syntax = _syntax(file.name.removesuffix(".scm"))
        language = ""
        for word in syntax.languages:
            if word.startswith("."):
                language_of_extension[word] = language
            else:
                language = word
                syntax_of[language] = syntax
    return syntax_of, language_of_extension


# By LSP language id, and the id of a file's extension.
LANGUAGES, LANGUAGE_OF_EXTENSION = _by_language()


def block_rules(language: str) -> BlockRules:
    """Where blocks of a language end; for one without a file, what most languages share."""
    syntax = LANGUAGES.get(language)
    return syntax.block if syntax is not None else DEFAULT_RULES


@cache
def load_grammar(grammar: str) -> Language | None:
    """The tree-sitter grammar of this name, None (logged once) if its wheel does not load.

    Imported on first use: each costs some milliseconds.
    """
    module, _, function = grammar.partition(".")
    try:
        return Language(getattr(import_module(module), function or "language")())
    except (ImportError, AttributeError, ValueError) as error:
        log.warning("%s does not load (%s): completing by text and indentation", grammar, error)
        return None


@cache
def load_query(syntax: LanguageSyntax) -> Query | None:
    """A language's query, None (logged once) if its grammar is missing or has other node types."""
    grammar = load_grammar(syntax.grammar)
    try:
        return Query(grammar, syntax.query) if grammar is not None else None
    except QueryError as error:
        log.warning("the query for %s does not fit it: %s", syntax.grammar, error)
        return None
