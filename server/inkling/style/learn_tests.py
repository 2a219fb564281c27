"""Which framework tests are written for, and how they are named."""

import re
from collections.abc import Iterator, Sequence

from inkling.context.definitions import enclosing
from inkling.style.rules import Kind, Rule
from inkling.style.sample import Source
from inkling.style.tally import Tally

# From so many words on a test's name is a sentence.
_SENTENCE_WORDS = 4
_FEW_FILES = 3
_UNITTEST = re.compile(r"class\s+\w+\([^)]*TestCase")
_JS_CALL = re.compile(r"^\s*(it|test)(?:\.\w+)?\(", re.MULTILINE)
_JS_FRAMEWORK = re.compile(
    r"""from\s+["'](vitest|@jest/globals|node:test|mocha|ava|bun:test)["']|\b(jest)\.(?:fn|mock)\("""
)
_GO_TABLE = re.compile(r"\bt\.Run\(")


def learn_tests(family: str, sources: Sequence[Source]) -> Iterator[Rule]:
    """The rules that the tests of one family follow."""
    tests = [source for source in sources if source.is_test]
    learner = {"python": _python, "javascript": _javascript, "go": _go}.get(family)
    if learner is not None:
        yield from (rule for rule in learner(tests) if rule is not None)


def _python(tests: Sequence[Source]) -> Iterator[Rule | None]:
    frameworks, names = Tally(), Tally()
    for source in tests:
        found = source.definitions
        for definition in found:
            if definition.kind != "function" or not definition.name.startswith("test"):
                continue
            around = [it for it in enclosing(found, definition.first_line) if it.kind == "class"]
            frameworks.add(_python_form(around[-1].signature if around else ""), source.path)
            names.add(_python_name(definition.name), source.path)
    yield frameworks.rule(Kind.TESTS, "python", "tests")
    yield names.rule(Kind.TEST_NAMES, "python", "tests")


def _python_form(class_header: str) -> str:
    if not class_header:
        return "pytest functions"
    return "unittest classes" if _UNITTEST.search(class_header) else "pytest classes"


def _python_name(name: str) -> str:
    if not name.startswith("test_"):
        return "testSomething"
    is_sentence = len(name.removeprefix("test_").split("_")) >= _SENTENCE_WORDS
    return "test_<sentence>" if is_sentence else "test_<subject>"


def _javascript(tests: Sequence[Source]) -> Iterator[Rule | None]:
    frameworks, calls = Tally(), Tally()
    for source in tests:
        if match := _JS_FRAMEWORK.search(source.text):
            frameworks.add((match[1] or match[2]).removeprefix("@").partition("/")[0], source.path)
        for call in _JS_CALL.findall(source.text):
            calls.add(f"{call}(…)", source.path)
    yield frameworks.rule(Kind.TESTS, "javascript", "test files", _FEW_FILES)
    yield calls.rule(Kind.TEST_NAMES, "javascript", "tests")


def _go(tests: Sequence[Source]) -> Iterator[Rule | None]:
    tables = Tally()
    for source in tests:
        if source.path.endswith("_test.go"):
            tables.add("subtests" if _GO_TABLE.search(source.text) else "plain", source.path)
    yield tables.rule(Kind.TESTS, "go", "test files", _FEW_FILES)
