"""Docstrings and doc comments: whether they are there, and in which form."""

import re
from collections.abc import Iterator, Sequence

from inkling.style.rules import Kind, Rule
from inkling.style.sample import Source
from inkling.style.tally import Tally
from inkling.style.trees import matches, text_of

_DOCUMENTED = """
[
  (function_definition name: (_) @name body: (block . (expression_statement (string) @doc)?))
  (class_definition name: (_) @name body: (block . (expression_statement (string) @doc)?))
]
"""
# What only one convention has.
_SECTIONS = (
    (
        "google",
        re.compile(
            r"^[ \t]*(Args|Arguments|Returns|Raises|Yields|Attributes|Examples?):[ \t]*\n",
            re.MULTILINE,
        ),
    ),
    (
        "numpy",
        re.compile(
            r"^[ \t]*(Parameters|Returns|Raises|Yields|Attributes)[ \t]*\n[ \t]*-{3,}", re.MULTILINE
        ),
    ),
    (
        "sphinx",
        re.compile(r"^[ \t]*:(param|parameter|returns?|rtype|raises?)\b[^:\n]*:", re.MULTILINE),
    ),
)
_MIN_SECTIONED = 10
_COMMENTED_KINDS = frozenset({"function", "method", "class", "interface", "type"})
_DOC_COMMENTS = (("*/", "/** … */"), ("///", "///"), ("//", "//"), ("#", "#"))


def learn_documentation(family: str, sources: Sequence[Source]) -> Iterator[Rule]:
    """How the definitions of one family are documented, tests apart."""
    own = [source for source in sources if not source.is_test]
    found = _docstrings(own) if family == "python" else [_doc_comments(family, own)]
    yield from (rule for rule in found if rule is not None)


def _docstrings(sources: Sequence[Source]) -> list[Rule | None]:
    forms, presence, sectioned, quotes = Tally(), Tally(), Tally(), Tally()
    for source in sources:
        for found in matches(source.tree, _DOCUMENTED):
            doc = text_of(found["doc"][0]) if "doc" in found else ""
            if not text_of(found["name"][0]).startswith("_"):
                presence.add("some" if doc else "none", source.path)
            if not doc:
                continue
            marks = doc.lstrip("rRuUbBfF")
            quotes.add(marks[:3] if marks[:3] in ('"""', "'''") else marks[:1], source.path)
            forms.add("several lines" if "\n" in doc.strip() else "one line", source.path)
            for convention, pattern in _SECTIONS:
                if pattern.search(doc):
                    sectioned.add(convention, source.path)
    kind = Kind.DOCSTRINGS
    form = sectioned.rule(kind, "python", "docstrings with sections", _MIN_SECTIONED)
    if form is None and sectioned.total < _MIN_SECTIONED:
        one_line = forms.rule(kind, "python", "docstrings")
        form = one_line if one_line is not None and one_line.value == "one line" else None
    if form is None:
        missing = presence.rule(kind, "python", "public functions and classes")
        form = missing if missing is not None and missing.value == "none" else None
    return [form, quotes.rule(Kind.DOCSTRING_QUOTES, "python", "docstrings")]


def _doc_comments(family: str, sources: Sequence[Source]) -> Rule | None:
    """What stands on the line above a definition."""
    tally = Tally()
    for source in sources:
        lines = source.text.split("\n")
        for definition in source.definitions:
            if definition.kind in _COMMENTED_KINDS and definition.first_line > 0:
                above = lines[definition.first_line - 1].strip()
                tally.add(_comment_form(above), source.path)
    return tally.rule(Kind.DOCSTRINGS, family, "definitions")


def _comment_form(line: str) -> str:
    if line.endswith("*/"):
        return "/** … */"
    return next((form for start, form in _DOC_COMMENTS if line.startswith(start)), "none")
