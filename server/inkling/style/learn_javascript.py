"""What only JavaScript and TypeScript have: two kinds of import, and a console for a log."""

import re
from collections.abc import Iterator, Sequence

from inkling.style.rules import Kind, Rule
from inkling.style.sample import Source
from inkling.style.tally import Tally

FAMILY = "javascript"
_IMPORT = re.compile(r"^import\s", re.MULTILINE)
_REQUIRE = re.compile(r"\brequire\(\s*[\"'`]")
_CONSOLE = re.compile(r"\bconsole\.(?:log|error|warn|info|debug)\(")
_LOGGER = re.compile(r"\b(log|logger)\.(?:error|warn|info|debug|trace)\(")


def learn_javascript(sources: Sequence[Source]) -> Iterator[Rule]:
    """The rules that JavaScript and TypeScript follow beyond layout, names and tests."""
    imports, logs = Tally(), Tally()
    for source in sources:
        imports.add("import", source.path, len(_IMPORT.findall(source.text)))
        imports.add("require", source.path, len(_REQUIRE.findall(source.text)))
        if not source.is_test:
            logs.add("console", source.path, len(_CONSOLE.findall(source.text)))
            for name in _LOGGER.findall(source.text):
                logs.add(name, source.path)
    found = (
        imports.rule(Kind.IMPORT_FORM, FAMILY, "imports"),
        logs.rule(Kind.LOGGING, FAMILY, "calls that log"),
    )
    yield from (rule for rule in found if rule is not None)
