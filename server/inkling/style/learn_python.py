"""What only Python has: type hints, import forms, and how errors and logs are written."""

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from tree_sitter import Node

from inkling.style.rules import Kind, Rule
from inkling.style.sample import Source
from inkling.style.tally import Tally
from inkling.style.trees import matches, nodes, text_of

FAMILY = "python"
# Fewer of these are written: an exception class or a logger is one of a file.
_FEW = 6

_FUNCTIONS = (
    "(function_definition name: (_) @name parameters: (parameters) @parameters"
    " return_type: (_)? @returns)"
)
_UNTYPED = frozenset({"identifier", "default_parameter"})
_TYPED = frozenset({"typed_parameter", "typed_default_parameter"})
_IMPORTS = "[(import_statement) (import_from_statement)] @import"
_BASES = "(class_definition name: (_) @name superclasses: (argument_list (_) @base))"
_RAISED = "(except_clause (block (raise_statement (_) @raised) @raise))"
_EXCEPTION = re.compile(r"(Error|Exception|Warning)$")
_LOGGER = re.compile(
    r"^(\w+)(?:\s*:[^=\n]+)?\s*=\s*((?:logging\.)?getLogger\(__name__\)|structlog\.\w*get_logger\([^)\n]*\))",
    re.MULTILINE,
)
_LOGURU = re.compile(r"^from loguru import (logger)", re.MULTILINE)


def learn_python(sources: Sequence[Source]) -> Iterator[Rule]:
    """The rules that Python sources follow beyond layout, names, docstrings and tests."""
    own = [source for source in sources if not source.is_test]
    found = (
        _type_hints(own),
        *_imports(sources),
        _error_names(own),
        _raising(own),
        _logging(own),
    )
    yield from (rule for rule in found if rule is not None)


def _type_hints(sources: Sequence[Source]) -> Rule | None:
    """Whether functions are annotated, parameters and result; one without either does not count."""
    tally = Tally()
    for source in sources:
        for found in matches(source.tree, _FUNCTIONS):
            places = [_is_annotated(it) for it in found["parameters"][0].named_children]
            hints = [is_annotated for is_annotated in places if is_annotated is not None]
            hints.append("returns" in found)
            value = "full" if all(hints) else "none" if not any(hints) else "some"
            tally.add(value, source.path)
    return _unless("some", tally.rule(Kind.TYPE_HINTS, FAMILY, "functions"))


def _is_annotated(parameter: Node) -> bool | None:
    """None for what takes no annotation: `self`, a separator; `*args` may go without one."""
    if parameter.type in _TYPED:
        return True
    is_receiver = text_of(parameter) in ("self", "cls")
    return False if parameter.type in _UNTYPED and not is_receiver else None


def _imports(sources: Sequence[Source]) -> Iterator[Rule | None]:
    """How own modules are named, what is imported, modules or names, and in which order."""
    packages = {part for source in sources for part in PurePosixPath(source.path).parent.parts}
    paths, forms, orders = Tally(), Tally(), Tally()
    for source in sources:
        is_standard = []
        for statement in nodes(source.tree, _IMPORTS):
            is_from = statement.type == "import_from_statement"
            forms.add("names" if is_from else "modules", source.path)
            module = statement.child_by_field_name("module_name" if is_from else "name")
            top = text_of(module).partition(".")[0] if module is not None else ""
            if not top:
                paths.add("relative", source.path)
            elif top in packages:
                paths.add("absolute", source.path)
            if statement.start_point.column == 0:
                is_standard.append(top in sys.stdlib_module_names)
        if len(set(is_standard)) == 2:
            is_grouped = is_standard == sorted(is_standard, reverse=True)
            orders.add("grouped" if is_grouped else "mixed", source.path)
    yield paths.rule(Kind.IMPORT_PATHS, FAMILY, "imports of own modules")
    yield forms.rule(Kind.IMPORT_FORM, FAMILY, "imports")
    yield _unless("mixed", orders.rule(Kind.IMPORT_ORDER, FAMILY, "files", min_count=10))


def _error_names(sources: Sequence[Source]) -> Rule | None:
    tally = Tally()
    for source in sources:
        for found in matches(source.tree, _BASES):
            if _EXCEPTION.search(text_of(found["base"][0])):
                name = text_of(found["name"][0])
                ending = _EXCEPTION.search(name)
                tally.add(f"…{ending[0]}" if ending else "other", source.path)
    return _unless("other", tally.rule(Kind.ERROR_NAMES, FAMILY, "exception classes", _FEW))


def _raising(sources: Sequence[Source]) -> Rule | None:
    """Whether an error raised while another is handled names its cause."""
    tally = Tally()
    for source in sources:
        for found in matches(source.tree, _RAISED):
            has_cause = found["raise"][0].child_by_field_name("cause") is not None
            tally.add("from" if has_cause else "bare", source.path)
    return tally.rule(Kind.RAISING, FAMILY, "errors raised while handling one")


def _logging(sources: Sequence[Source]) -> Rule | None:
    tally = Tally()
    for source in sources:
        if match := _LOGGER.search(source.text):
            tally.add(f"{match[1]} = {match[2]}", source.path)
        elif _LOGURU.search(source.text):
            tally.add("from loguru import logger", source.path)
    return tally.rule(Kind.LOGGING, FAMILY, "modules that log", _FEW)


def _unless(value: str, rule: Rule | None) -> Rule | None:
    """The rule, unless all it says is that there is no habit."""
    return rule if rule is not None and rule.value != value else None
