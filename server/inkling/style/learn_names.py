"""How functions, methods, classes, variables and constants are named."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

from inkling.style.rules import Kind, Rule
from inkling.style.sample import Source
from inkling.style.tally import Tally

_KIND_OF_DEFINITION = {
    "function": Kind.FUNCTION_NAMES,
    "method": Kind.METHOD_NAMES,
    "class": Kind.CLASS_NAMES,
    "interface": Kind.CLASS_NAMES,
    "enum": Kind.CLASS_NAMES,
    "type": Kind.CLASS_NAMES,
    "variable": Kind.VARIABLE_NAMES,
    "constant": Kind.CONSTANT_NAMES,
}
_PLURAL = {
    Kind.FUNCTION_NAMES: "functions",
    Kind.METHOD_NAMES: "methods",
    Kind.CLASS_NAMES: "classes and types",
    Kind.VARIABLE_NAMES: "variables of modules",
    Kind.CONSTANT_NAMES: "constants",
}
_FORMS = (
    ("snake_case", re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)+")),
    ("camelCase", re.compile(r"[a-z][a-z0-9]*([A-Z][a-z0-9]*)+")),
    ("UPPER_CASE", re.compile(r"[A-Z][A-Z0-9]+(_[A-Z0-9]+)*|[A-Z]+(_[A-Z0-9]+)+")),
    ("PascalCase", re.compile(r"([A-Z]+[a-z0-9]+)+[A-Z]*")),
)


def form_of(name: str) -> str:
    """The form a name is written in, "" where it could be several ("total") or is none of them."""
    bare = name.strip("_$?!")
    return next((form for form, pattern in _FORMS if pattern.fullmatch(bare)), "")


def learn_names(family: str, sources: Sequence[Source]) -> Iterator[Rule]:
    """The naming rules that the sources of one family follow, tests apart: theirs are sentences."""
    tallies: dict[Kind, Tally] = defaultdict(Tally)
    for source in sources:
        if source.is_test:
            continue
        for definition in source.definitions:
            kind = _KIND_OF_DEFINITION.get(definition.kind)
            form = form_of(definition.name.rpartition("::")[2])
            if kind is not None and form:
                tallies[kind].add(form, source.path)
    # Python's grammar knows no constants: a module's names in capitals are meant as such.
    if family == "python" and Kind.VARIABLE_NAMES in tallies:
        tallies[Kind.CONSTANT_NAMES] = tallies.pop(Kind.VARIABLE_NAMES)
    for kind in sorted(tallies):
        rule = tallies[kind].rule(kind, family, _PLURAL[kind])
        if rule is not None:
            yield rule
