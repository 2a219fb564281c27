"""Secrets in code, by their form: none of them gets into a prompt, whatever file they stand in.

The forms are those that their issuers document (a fixed beginning, then random characters), PEM's
private keys, and values given to a name such as `password`. A redacted text is put together from the
same pieces each time, so the KV cache of a prompt stands.
"""

import re

REDACTED = "<redacted>"

_ISSUED = (
    r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"  # AWS access key id
    r"|\bgh[pousr]_[0-9A-Za-z]{36,}"  # GitHub
    r"|\bgithub_pat_[0-9A-Za-z_]{60,}"
    r"|\bglpat-[0-9A-Za-z_-]{20,}"  # GitLab
    r"|\bxox[abeoprs]-[0-9A-Za-z-]{10,}"  # Slack
    r"|\b[rs]k_(?:live|test)_[0-9A-Za-z]{16,}"  # Stripe
    r"|\bsk-(?:[a-z]+-)*[0-9A-Za-z_-]{32,}"  # OpenAI, Anthropic
    r"|\bAIza[0-9A-Za-z_-]{35}"  # Google
    r"|\bhf_[0-9A-Za-z]{30,}"  # Hugging Face
    r"|\bnpm_[0-9A-Za-z]{36}"
    r"|\bpypi-[0-9A-Za-z_-]{50,}"
    r"|\beyJ[0-9A-Za-z_-]{10,}\.[0-9A-Za-z_-]{10,}\.[0-9A-Za-z_-]{10,}"  # JSON Web Token
)
_PRIVATE_KEY = r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
# The lines of a key whose beginning is not in this piece of text.
_KEY_LINES = r"^[ \t]*[0-9A-Za-z+/]{64,76}={0,2}$"
# A quoted value without blanks given to a name that ends in one of these words. A value of fewer
# characters is a placeholder or a key of a table.
_GIVEN = (
    r"(?i:(?:password|passwd|secret|api_?key|access_?key|auth_?token|private_?key)"
    r"[\"']?\s*(?::|=>?|:=)\s*[\"'])(?P<value>[^\s\"'{}$<>]{8,})(?=[\"'])"
)
_SECRET = re.compile(f"(?P<whole>{_PRIVATE_KEY}|{_ISSUED}|{_KEY_LINES})|{_GIVEN}", re.MULTILINE)


def redacted(text: str) -> str:
    """The text with REDACTED in place of each secret. Milliseconds for a whole prompt."""
    return _SECRET.sub(_without_value, text)


def _without_value(found: re.Match[str]) -> str:
    if found["whole"] is not None:
        return REDACTED
    start, end = found.start("value") - found.start(), found.end("value") - found.start()
    return found[0][:start] + REDACTED + found[0][end:]
