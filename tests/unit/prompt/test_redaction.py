"""Secrets get into no prompt, whatever file they stand in; other code does as it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkling.prompt.redaction import REDACTED, redacted

# Put together here, so that nobody's scanner takes this file for a leak.
SECRETS = [
    "AKIA" + "IOSFODNN7EXAMPLE",
    "ghp_" + "a1B2" * 9,
    "github_pat_" + "a1B2_" * 14,
    "glpat-" + "a1-_" * 5,
    "xoxb-" + "123456789012-abc",
    "sk_live_" + "a1B2" * 5,
    "sk-proj-" + "a1B2" * 10,
    "AIza" + "a1B2_" * 7,
    "hf_" + "abCd" * 9,
    "npm_" + "a1B2" * 9,
    "pypi-" + "a1B2" * 15,
    "eyJ" + "hbGciOiJIUzI1" + "." + "eyJzdWIiOiIx" + "." + "SflKxwRJSMeKK",
]


@pytest.mark.parametrize("secret", SECRETS)
def test_a_token_is_known_by_its_form(secret: str) -> None:
    assert redacted(f'TOKEN = "{secret}"  # x\n') == f'TOKEN = "{REDACTED}"  # x\n'


@pytest.mark.parametrize("end", ["-----END RSA PRIVATE KEY-----", ""])
def test_a_private_key_goes_to_its_end_or_that_of_the_text(end: str) -> None:
    key = "-----BEGIN RSA PRIVATE KEY-----\nMIIE\nabc\n" + end
    assert redacted(f"a\n{key}") == f"a\n{REDACTED}"


def test_lines_of_a_key_whose_beginning_is_elsewhere() -> None:
    assert redacted(f"x\n  {'aB3+' * 16}\ny") == f"x\n{REDACTED}\ny"


@pytest.mark.parametrize(
    ("code", "clean"),
    [
        ('password = "hunter2hunter2"', f'password = "{REDACTED}"'),
        ("DB_PASSWORD: 'hunter2hunter2',", f"DB_PASSWORD: '{REDACTED}',"),
        ('{"api_key": "abcd1234efgh"}', f'{{"api_key": "{REDACTED}"}}'),
        ('apiKey := "abcd1234efgh"', f'apiKey := "{REDACTED}"'),
        (":secret => 'abcd1234efgh'", f":secret => '{REDACTED}'"),
    ],
)
def test_a_value_is_known_by_its_name(code: str, clean: str) -> None:
    assert redacted(code) == clean


@pytest.mark.parametrize(
    "code",
    [
        'password = input("your password: ")',
        "password = get_password()",
        'password = ""',
        'password = "short"',
        'password = "${DB_PASSWORD}"',
        'label = "a secret of many words"',
        "def check(password: str = DEFAULT) -> None:",
        'sha = "' + "0123456789abcdef" * 4 + '"',
        "sk_test(a)",
        "risk-" + "a" * 40,
    ],
)
def test_other_code_stays(code: str) -> None:
    assert redacted(code) == code


@given(st.lists(st.sampled_from([*SECRETS, "password='", "'", "\n", " x ", "<", "abcdefgh1"])))
def test_redacting_twice_is_redacting_once(parts: list[str]) -> None:
    once = redacted(" ".join(parts))
    assert redacted(once) == once
