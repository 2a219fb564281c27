"""Secrets in code, by their form: none of them gets into a prompt, whatever file they stand in.

The forms are those that their issuers document (a fixed beginning, then random characters), PEM's
private keys, and values given to a name such as `password`. A redacted text is put together from the
same pieces each time, so the KV cache of a prompt stands.
"""

import re

REDACTED = "<redacted>"

_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
)
# A line of a key whose beginning is not in this piece of text.
_KEY_LINE = re.compile(r"[ \t]*[0-9A-Za-z+/]{64,76}={0,2}")
_ISSUED = re.compile(
    r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"  # AWS access key id
    r"|\bgh[pousr]_[0-9A-Za-z]{36,}"  # GitHub
    r"|\bgithub_pat_[0-9A-Za-z_]{60,}"
    r"|\bglpat-[0-9A-Za-z_-]{20,}"  # GitLab
    r"|\bxox[abeoprs]-[0-9A-Za-z-]{10,}"  # Slack
    r"|\b[rs]k_(?:live|test)_[0-9A-Za-z]{16,}"  # Stripe
    r"|\bsk-[0-9A-Za-z_-]{32,}"  # OpenAI, Anthropic
    r"|\bAIza[0-9A-Za-z_-]{35}"  # Google
    r"|\bhf_[0-9A-Za-z]{30,}"  # Hugging Face
    r"|\bnpm_[0-9A-Za-z]{36}"
    r"|\bpypi-[0-9A-Za-z_-]{50,}"
    r"|\beyJ[0-9A-Za-z_-]{10,}\.[0-9A-Za-z_-]{10,}\.[0-9A-Za-z_-]{10,}"  # JSON Web Token
)
# A quoted value without blanks given to a name that ends in one of these words. A value of fewer
# characters is a placeholder or a key of a table.
_GIVEN = re.compile(
    r"(?i:(?:password|passwd|secret|api_?key|access_?key|auth_?token|private_?key)"
    r"[\"']?[ \t]*(?::|=>?|:=)[ \t]*[\"'])(?P<value>[^\s\"'{}$<>]{8,})(?=[\"'])"
)
# A line has none of the forms without one of these in it: looking for them is all that most text costs.
_HINTS = (
    *("password", "passwd", "secret", "api_key", "apikey", "access_key", "accesskey"),
    *("auth_token", "authtoken", "private_key", "privatekey", "akia", "asia", "ghp_", "gho_"),
    *("ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "xox", "k_live_", "k_test_", "sk-", "aiza"),
    *("hf_", "npm_", "pypi-", "eyj"),
)
# Longer lines are data, and are looked through as they are: lines of a key are no longer than this.
_SHORTEST_KEY_LINE, _LONGEST_KEY_LINE = 64, 200


def redacted(text: str) -> str:
    """The text with REDACTED in place of each secret."""
    if "PRIVATE KEY-----" in text:
        text = _PRIVATE_KEY.sub(REDACTED, text)
    lowered = text.lower()
    hints = [hint for hint in _HINTS if hint in lowered]
    return "\n".join(_redacted_line(line, hints) for line in text.split("\n"))


def _redacted_line(line: str, hints: list[str]) -> str:
    if _SHORTEST_KEY_LINE <= len(line) <= _LONGEST_KEY_LINE and _KEY_LINE.fullmatch(line):
        return REDACTED
    lowered = line.lower() if hints else ""
    if not any(hint in lowered for hint in hints):
        return line
    return _GIVEN.sub(_without_value, _ISSUED.sub(REDACTED, line))


def _without_value(found: re.Match[str]) -> str:
    start, end = found.start("value") - found.start(), found.end("value") - found.start()
    return found[0][:start] + REDACTED + found[0][end:]
