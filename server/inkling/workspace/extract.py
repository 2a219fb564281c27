"""What the index keeps of one file: its symbols and the names in it."""

import re
from pathlib import Path

from inkling.context.definitions import definitions
from inkling.context.languages import LANGUAGES
from inkling.context.syntax import parse
from inkling.workspace.doc_lines import doc_line
from inkling.workspace.facts import Entry, Extract, Stamp, Symbol
from inkling.workspace.scan import language_of, read_code

# Characters kept of a definition's header.
MAX_SIGNATURE = 500

_NAME = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]{2,}")


def read_entry(root: Path, path: str, stamp: Stamp) -> Entry:
    """What is to be known of the file at `path`, which had this stamp a moment ago."""
    text = read_code(root / path)
    return Entry(path, stamp, extract(path, language_of(path), text) if text is not None else None)


def extract(path: str, language: str, text: str) -> Extract:
    """What the index keeps of a file with this text. Pure."""
    tree = parse(language, text)
    found = definitions(tree) if tree is not None else ()
    syntax = LANGUAGES[language]
    lines = text.split("\n")
    symbols = tuple(
        Symbol(
            path=path,
            name=it.name.rpartition("::")[2],
            kind=it.kind,
            first_line=it.first_line,
            last_line=it.last_line,
            signature=it.signature[:MAX_SIGNATURE],
            doc=doc_line(lines, it, syntax.block, syntax.family),
        )
        for it in found
    )
    return Extract(language, symbols, frozenset(_NAME.findall(text)))
