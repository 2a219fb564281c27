"""What a team writes down for people and agents: which lines are rules about the style of code."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from inkling.context.languages import LANGUAGES
from inkling.style.rules import EVERY_LANGUAGE, Kind, Rank, Rule

# The user's own file is taken whole, up to this many characters.
USER_FILE = ".inkling/style.md"
USER_LIMIT = 600
DOCUMENTS = ("AGENTS.md", "CONTRIBUTING.md", ".github/CONTRIBUTING.md")
MAX_SENTENCES = 8  # of one document
_MAX_SENTENCE = 140  # characters

_HEADING = re.compile(r"#{1,6}\s+(.+?)\s*#*$")
_BULLET = re.compile(r"\s*(?:[-*+]|\d+[.)])\s+(.+)$")
_FENCE = re.compile(r"\s*(```|~~~)")
_SENTENCE_END = re.compile(r"(?<!e\.g\.)(?<!i\.e\.)(?<!etc\.)(?<=[.;!])\s+(?=[A-Z`\"(])")
_MIN_WORDS = 3
_STYLE_HEADING = re.compile(
    r"\b(styles?|conventions?|naming|formatting|coding|guidelines|docstrings?|typing|type hints|"
    r"imports?|errors?|logging|writing tests|test(s|ing)? style)\b",
    re.IGNORECASE,
)
_TOPIC = re.compile(
    r"\b(names?|naming|comments?|docstrings?|errors?|exceptions?|raises?|annotations?|tests?)\b",
    re.IGNORECASE,
)
# Work on the project, not the look of its code.
_PROCESS = re.compile(
    r"https?://|^\s*(?:\$|run|install|open|create|fork|clone|push|submit|ask|use make|make sure)\b|"
    r"\b(?:pull requests?|PRs?|commits?|branch(?:es)?|CI|GitHub|issues?|changelog|releases?|pip|npm|git|"
    r"merge[ds]?|review(?:ed|er)?|coverage|test suite|you(?:rs?)?|new)\b|\bmake \w+`|"
    r"\b(?:add|update|include|fix|write)\b.*\btests?\b",
    re.IGNORECASE,
)
_DOC_FORMS = r"(?:google|num(?:py|pydoc)|sphinx|rest|pep ?257|one[- ]line)"
# A sentence is about a kind of rule only if it says something a rule of that kind could say.
_SAYS = (
    (Kind.INDENT, r"\bindent|\b(?:\d|two|four|eight)[- ]spaces?\b|\btabs\b"),
    (Kind.QUOTES, r"\b(?:single|double)[- ]quot"),
    (Kind.SEMICOLONS, r"\bsemicolons?\b"),
    (
        Kind.LINE_LENGTH,
        r"\b\d{2,3}[- ](?:columns?|characters?|chars?)\b|\blines?\b.{0,40}\b\d{2,3}\b|\bline[- ]length\b",
    ),
    (Kind.TYPE_HINTS, r"\btype[- ](?:hints?|annotations?)\b|\bannotat(?:e|ed)\b"),
    (
        Kind.DOCSTRINGS,
        (
            rf"\b{_DOC_FORMS}\b.{{0,40}}\bdocstrings?\b|\bdocstrings?\b.{{0,40}}\b{_DOC_FORMS}\b|"
            r"\b(?:no docstrings|jsdoc|doc comments?)\b"
        ),
    ),
    (Kind.TRAILING_COMMAS, r"\btrailing commas?\b"),
    (Kind.FUNCTION_NAMES, r"\bfunctions?\b.{0,60}\b(?:snake_case|camelCase|PascalCase)\b"),
    (Kind.METHOD_NAMES, r"\bmethods?\b.{0,60}\b(?:snake_case|camelCase|PascalCase)\b"),
    (Kind.CLASS_NAMES, r"\b(?:class(?:es)?|types?)\b.{0,60}\b(?:CamelCase|PascalCase)\b"),
    (Kind.CONSTANT_NAMES, r"\bconstants?\b.{0,60}\b(?:UPPER|SCREAMING|PascalCase|camelCase)"),
    (Kind.LOGGING, r"\b(?:getLogger|structlog|loguru|console\.\w+)\b"),
    (Kind.IMPORT_PATHS, r"\b(?:absolute|relative) imports?\b"),
    (Kind.IMPORT_ORDER, r"\bsort(?:ed)? imports?\b|\bimports? (?:are |is )?(?:sorted|grouped)\b"),
    (Kind.RAISING, r"\braise\b.{0,40}\bfrom\b"),
    (Kind.TESTS, r"\b(?:pytest|unittest|jest|vitest|mocha|rspec|phpunit|junit)\b"),
    (Kind.TEST_NAMES, r"\b(?:tests?|test names?) (?:are )?named\b|\btest_<?\w+"),
)
_KINDS = tuple((kind, re.compile(pattern, re.IGNORECASE)) for kind, pattern in _SAYS)
_FAMILY_OF_WORD = {
    **{name: syntax.family for name, syntax in LANGUAGES.items()},
    "c++": "c",
    "c#": "csharp",
    "golang": "go",
    "shell": "bash",
}
_WORD = re.compile(r"(?<![\w.])(c\+\+|c#|[a-z]+)(?![\w+#.])", re.IGNORECASE)
# Words of English too.
_AMBIGUOUS = frozenset({"go", "c"})


@dataclass(frozen=True)
class _Line:
    text: str
    heading: str
    is_bullet: bool


def user_text(text: str) -> tuple[str, int]:
    """What of the user's file goes into the prompt, whole lines, and how many characters it had."""
    whole = "\n".join(line.rstrip() for line in text.strip().splitlines() if line.strip())
    if len(whole) <= USER_LIMIT:
        return whole, len(whole)
    cut = whole.rfind("\n", 0, USER_LIMIT + 1)
    return whole[: cut if cut > 0 else USER_LIMIT].rstrip(), len(whole)


def user_rules(text: str) -> Iterator[Rule]:
    """The rules of the user's file: each sentence by the kinds it speaks about."""
    for line in _lines(text):
        for sentence in _sentences(line.text):
            yield from _rules(sentence, line.heading, USER_FILE, Rank.USER)


def document_rules(text: str, file: str) -> Iterator[Rule]:
    """The few sentences of a document that are rules about code: short ones in bullets about it,
    and under headings about style."""
    num_taken = 0
    for line in _lines(text):
        is_style = bool(_STYLE_HEADING.search(line.heading))
        if not (is_style or line.is_bullet) or _PROCESS.search(line.heading):
            continue
        for sentence in _sentences(line.text):
            rules = list(_rules(sentence, line.heading, file, Rank.DOCUMENTED))
            is_about_code = is_style or _TOPIC.search(sentence) or rules[0].kind is not Kind.STATED
            is_short = sentence.count(" ") >= _MIN_WORDS - 1 and len(sentence) <= _MAX_SENTENCE
            if is_short and is_about_code and not _PROCESS.search(sentence):
                if num_taken == MAX_SENTENCES:
                    return
                num_taken += 1
                yield from rules


def _rules(sentence: str, heading: str, file: str, rank: Rank) -> Iterator[Rule]:
    family = _family(heading) or _family(sentence) or EVERY_LANGUAGE
    kinds = [kind for kind, pattern in _KINDS if pattern.search(sentence)] or [Kind.STATED]
    where = f", “{heading}”" if heading else ""
    for kind in kinds:
        yield Rule(kind, sentence, family, f"{file}{where}", rank)


def _family(text: str) -> str:
    """The family of languages that a heading or sentence names, "" for none or several."""
    words = {word for word in _WORD.findall(text) if word[0].isupper() or word not in _AMBIGUOUS}
    named = {_FAMILY_OF_WORD[word.lower()] for word in words if word.lower() in _FAMILY_OF_WORD}
    return named.pop() if len(named) == 1 else ""


def _lines(text: str) -> Iterator[_Line]:
    """Bullets and paragraphs, each joined to one line, with the heading they stand under."""
    heading, parts, is_bullet, in_fence = "", list[str](), False, False
    for line in [*text.splitlines(), ""]:
        bullet, title = _BULLET.match(line), _HEADING.match(line)
        is_fence = bool(_FENCE.match(line))
        if parts and (bullet or title or is_fence or not line.strip()):
            yield _Line(" ".join(parts), heading, is_bullet)
            parts = []
        if is_fence:
            in_fence = not in_fence
        elif title and not in_fence:
            heading = title[1]
        elif bullet and not in_fence:
            parts, is_bullet = [bullet[1].strip()], True
        elif line.strip() and not in_fence:
            is_bullet = is_bullet and bool(parts)
            parts.append(line.strip())


def _sentences(text: str) -> list[str]:
    return [sentence.strip() for sentence in _SENTENCE_END.split(text.replace("**", ""))]
