"""What a style rule is, and what it may be about."""

from dataclasses import dataclass
from enum import IntEnum, StrEnum


class Kind(StrEnum):
    """What a rule is about. The order is that of the prompt: what shows in most lines comes first."""

    INDENT = "indent"
    QUOTES = "quotes"
    SEMICOLONS = "semicolons"
    LINE_LENGTH = "line length"
    TYPE_HINTS = "type hints"
    DOCSTRINGS = "docstrings"
    FUNCTION_NAMES = "function names"
    METHOD_NAMES = "method names"
    CLASS_NAMES = "class names"
    VARIABLE_NAMES = "variable names"
    CONSTANT_NAMES = "constant names"
    ERROR_NAMES = "error names"
    RAISING = "raising"
    LOGGING = "logging"
    TESTS = "tests"
    TEST_NAMES = "test names"
    IMPORT_PATHS = "import paths"
    IMPORT_FORM = "import form"
    IMPORT_ORDER = "import order"
    TRAILING_COMMAS = "trailing commas"
    DOCSTRING_QUOTES = "docstring quotes"
    STATED = "stated"  # a sentence of a document about anything else


class Rank(IntEnum):
    """Who wins: of two rules about the same kind, the one of the higher rank."""

    LEARNT = 1
    CONFIGURED = 2
    DOCUMENTED = 3
    USER = 4


EVERY_LANGUAGE = ""


@dataclass(frozen=True)
class Rule:
    """One rule for one family of languages (`LanguageSyntax.family`), or for `EVERY_LANGUAGE`.

    `value` is a word that `render.py` knows how to say ("4 spaces", "double", "snake_case"); of a
    document (from `Rank.DOCUMENTED` on) it is the document's own sentence. `source` names the file
    and key, or what was counted.
    """

    kind: Kind
    value: str
    family: str
    source: str
    rank: Rank
