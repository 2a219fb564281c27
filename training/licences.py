"""Which licences count as permissive, from the metadata packages carry."""

import re
from collections.abc import Iterable
from email.message import Message

_PERMISSIVE = re.compile(
    r"\b(MIT|BSD|0BSD|Apache|ISC|ISCL|PSF|Python Software Foundation|Python-2\.0|PSFL|Unlicense|"
    r"CC0|Zlib|HPND|Public Domain|BlueOak)\b|\bBSD-|\bMIT-",
    re.IGNORECASE,
)
_RESTRICTED = re.compile(
    r"GPL|General Public|MPL|Mozilla|CC[- ]BY|Creative Commons|propriet|commercial|EPL|Eclipse|"
    r"CDDL|NVIDIA|SSPL|BUSL|Business Source|Elastic|UNLICENSED|SEE LICEN|Commons Clause|\bGNU\b",
    re.IGNORECASE,
)
# A `License` field longer than this is the licence's whole text: the classifiers say it better.
_LONGEST_NAME = 80


def is_permissive(licence: str) -> bool:
    """Whether a licence expression or name allows use without copyleft.

    An expression with "OR" needs one permissive side; a mixed "AND" is refused.
    """
    sides = re.split(r"\s+OR\s+|\s*/\s*", licence.strip("() "))
    return any(_PERMISSIVE.search(side) and not _RESTRICTED.search(side) for side in sides)


def of_distribution(metadata: Message) -> str:
    """The licence a Python distribution declares: expression, classifiers or licence field."""
    expression = str(metadata.get("License-Expression") or "").strip()
    if expression:
        return expression
    classifiers: Iterable[str] = metadata.get_all("Classifier") or []
    named = [
        line.rsplit("::", 1)[1].strip()
        for line in classifiers
        if line.startswith("License ::") and not line.endswith("OSI Approved")
    ]
    if named:
        return " AND ".join(sorted(named))
    field = str(metadata.get("License") or "").strip()
    return field if len(field) <= _LONGEST_NAME else ""


def of_npm_package(package: dict[str, object]) -> str:
    """The licence a package.json declares, "" when it declares none."""
    licence = package.get("license") or package.get("licenses") or ""
    if isinstance(licence, list) and licence:
        licence = licence[0]
    if isinstance(licence, dict):
        licence = licence.get("type", "")
    return licence if isinstance(licence, str) else ""
