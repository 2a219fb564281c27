"""The style as the model reads it: short imperative lines, no figures that change by the day.

It is part of the prompt's fixed prefix: the same rules give the same bytes.
"""

from inkling.context.languages import LANGUAGES
from inkling.style.profile import Profile
from inkling.style.rules import Kind, Rank, Rule

MAX_CHARS = 1000  # some 250 tokens

_SENTENCES = {
    (Kind.SEMICOLONS, "always"): "End statements with semicolons.",
    (Kind.SEMICOLONS, "never"): "No semicolons.",
    (Kind.TYPE_HINTS, "full"): "Annotate all parameters and results with types.",
    (Kind.TYPE_HINTS, "none"): "No type hints.",
    (Kind.DOCSTRINGS, "google"): "Docstrings in Google form (Args:, Returns:, Raises:).",
    (Kind.DOCSTRINGS, "numpy"): "Docstrings in NumPy form (underlined Parameters, Returns).",
    (Kind.DOCSTRINGS, "sphinx"): "Docstrings in Sphinx form (:param x:, :returns:).",
    (Kind.DOCSTRINGS, "one line"): "Docstrings of one line.",
    (Kind.DOCSTRINGS, "none"): "No doc comments on functions and classes.",
    (Kind.RAISING, "from"): "When handling an error, raise another `from` it.",
    (Kind.RAISING, "bare"): "Raise without `from`.",
    (Kind.TESTS, "pytest functions"): "Tests are pytest functions.",
    (Kind.TESTS, "pytest classes"): "Tests are methods of plain pytest classes.",
    (Kind.TESTS, "unittest classes"): "Tests are methods of unittest.TestCase classes.",
    (Kind.TESTS, "subtests"): "Tests are tables of cases run by t.Run.",
    (Kind.TESTS, "plain"): "Tests are plain functions without t.Run.",
    (Kind.TEST_NAMES, "test_<sentence>"): "Name tests test_<what is true, in words>.",
    (Kind.TEST_NAMES, "test_<subject>"): "Name tests test_<subject>, in few words.",
    (Kind.TEST_NAMES, "testSomething"): "Name tests testSomething.",
    (Kind.IMPORT_PATHS, "relative"): "Import own modules relatively.",
    (Kind.IMPORT_PATHS, "absolute"): "Import own modules by their absolute names.",
    (Kind.IMPORT_FORM, "names"): "Write `from module import name`.",
    (Kind.IMPORT_FORM, "modules"): "Import modules, not names.",
    (Kind.IMPORT_FORM, "import"): "Use `import`, not `require`.",
    (Kind.IMPORT_FORM, "require"): "Use `require`, not `import`.",
    (Kind.IMPORT_ORDER, "grouped"): "Imports: standard library, third party, own.",
    (Kind.TRAILING_COMMAS, "always"): "Trailing commas in lists of several lines.",
    (Kind.TRAILING_COMMAS, "never"): "No trailing commas.",
}
_FORMS = {
    Kind.INDENT: "Indent with {}.",
    Kind.QUOTES: "{} quotes.",
    Kind.LINE_LENGTH: "Lines up to {} characters.",
    Kind.DOCSTRINGS: "Document definitions with {} comments above them.",
    Kind.FUNCTION_NAMES: "Name functions in {}.",
    Kind.METHOD_NAMES: "Name methods in {}.",
    Kind.CLASS_NAMES: "Name classes in {}.",
    Kind.VARIABLE_NAMES: "Name variables in {}.",
    Kind.CONSTANT_NAMES: "Name constants in {}.",
    Kind.ERROR_NAMES: "Name exceptions {}.",
    Kind.LOGGING: "Log with {}.",
    Kind.TESTS: "Tests are written for {}.",
    Kind.TEST_NAMES: "Tests are {}.",
    Kind.DOCSTRING_QUOTES: "Docstrings in {}.",
}


def render(profile: Profile, language: str) -> str:
    """The text for the prompt of documents in a language (LSP id), "" if nothing is known.

    First the user's own text, whole; then the rules in force, one a line, until MAX_CHARS. What
    does not fit is left out whole.
    """
    syntax = LANGUAGES.get(language)
    family = syntax.family if syntax is not None else language
    lines = [profile.user_text] if profile.user_text else []
    left = MAX_CHARS - len(profile.user_text)
    for rule in profile.in_force(family):
        line = sentence(rule)
        is_new = rule.rank is not Rank.USER and line not in lines
        if is_new and len(line) + 1 <= left:
            lines.append(line)
            left -= len(line) + 1
    return "\n".join(lines)


def sentence(rule: Rule) -> str:
    """A rule as one line of the prompt; a document's sentence is its own."""
    if rule.rank >= Rank.DOCUMENTED:
        return rule.value
    said = _SENTENCES.get((rule.kind, rule.value))
    if said is not None:
        return said
    value = rule.value.capitalize() if rule.kind is Kind.QUOTES else rule.value
    return _FORMS[rule.kind].format(value)
