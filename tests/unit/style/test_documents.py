"""Which sentences of documents are rules about code."""

import pytest

from inkling.style.documents import (
    MAX_SENTENCES,
    USER_LIMIT,
    document_rules,
    user_rules,
    user_text,
)
from inkling.style.rules import Kind, Rank, Rule

CONTRIBUTING = """\
# Contributing

Thank you for helping! Fork the repository and open a pull request.

- Install the hooks with `pre-commit install`.
- Comments say why. Never what.
- Add tests for your change.

## Code style

We use double quotes.
Indent with tabs; run `make fix` before you push.

- Constants are written in UPPER_CASE.
- Name functions in snake_case, classes in PascalCase.

```
- this is code, no rule about naming
```

### Tests

- Tests are pytest functions, named
  after what they prove.

### Python

- Docstrings in Google form.
- See https://example.com/style for naming.

## Commit message style

- `fix`: a fix of an error
"""


def said(rules: list[Rule]) -> list[tuple[Kind, str, str]]:
    return [(rule.kind, rule.value, rule.family) for rule in rules]


def test_bullets_and_lines_about_style_are_rules_and_the_rest_is_not() -> None:
    rules = list(document_rules(CONTRIBUTING, "CONTRIBUTING.md"))
    names = "Name functions in snake_case, classes in PascalCase."
    assert said(rules) == [
        (Kind.STATED, "Comments say why.", ""),
        (Kind.QUOTES, "We use double quotes.", ""),
        (Kind.CONSTANT_NAMES, "Constants are written in UPPER_CASE.", ""),
        (Kind.FUNCTION_NAMES, names, ""),
        (Kind.CLASS_NAMES, names, ""),
        (Kind.TESTS, "Tests are pytest functions, named after what they prove.", ""),
        (Kind.DOCSTRINGS, "Docstrings in Google form.", "python"),
    ]
    assert rules[1].source == "CONTRIBUTING.md, “Code style”"
    assert {rule.rank for rule in rules} == {Rank.DOCUMENTED}


def test_a_document_gives_few_and_short_sentences() -> None:
    bullets = "".join(f"- Errors of kind {n} are raised as they are.\n" for n in range(30))
    assert len(list(document_rules(f"# Style\n\n{bullets}", "AGENTS.md"))) == MAX_SENTENCES
    assert list(document_rules(f"# Style\n\n- Names {'very ' * 50}long.\n", "AGENTS.md")) == []


@pytest.mark.parametrize(
    ("sentence", "kind"),
    [
        ("Indent with two spaces.", Kind.INDENT),
        ("Never use single quotes.", Kind.QUOTES),
        ("Lines have at most 90 characters.", Kind.LINE_LENGTH),
        ("No semicolons, please.", Kind.SEMICOLONS),
        ("All functions have type hints.", Kind.TYPE_HINTS),
        ("NumPy docstrings everywhere.", Kind.DOCSTRINGS),
        ("Methods are in camelCase.", Kind.METHOD_NAMES),
        ("Log through structlog only.", Kind.LOGGING),
        ("Prefer absolute imports.", Kind.IMPORT_PATHS),
        ("Tests use vitest here.", Kind.TESTS),
        ("Always raise errors from their cause.", Kind.RAISING),
        ("Prefer small functions.", Kind.STATED),
    ],
)
def test_a_sentence_is_known_by_what_it_speaks_about(sentence: str, kind: Kind) -> None:
    assert said(list(user_rules(sentence))) == [(kind, sentence, "")]


def test_a_heading_or_a_sentence_may_name_a_language() -> None:
    text = (
        "# TypeScript\n\nSingle quotes.\n\n# Everywhere\n\nGo code has tabs.\n\nTabs, let it go.\n"
    )
    assert said(list(user_rules(text))) == [
        (Kind.QUOTES, "Single quotes.", "javascript"),
        (Kind.INDENT, "Go code has tabs.", "go"),
        (Kind.INDENT, "Tabs, let it go.", ""),
    ]


def test_the_users_file_is_taken_whole_up_to_a_limit() -> None:
    assert user_text("\n# Ours  \n\n\nTabs.\n") == ("# Ours\nTabs.", 12)
    long = "\n".join(f"Rule {n} of many is here." for n in range(60))
    kept, length = user_text(long)
    assert length == len(long)
    assert len(kept) <= USER_LIMIT
    assert long.startswith(f"{kept}\n")
    assert len(user_text("x" * 5000)[0]) == USER_LIMIT
