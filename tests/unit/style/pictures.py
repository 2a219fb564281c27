"""Small repositories as pictures: a file's path and its text."""

from pathlib import Path

from inkling.style.profile import Profile, read_profile
from inkling.style.rules import Kind, Rule

# Enough of anything to make a rule of it.
MANY = 24


def repository(root: Path, files: dict[str, str]) -> Path:
    """Write the files of a repository."""
    for name, text in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return root


def profile_of(root: Path, files: dict[str, str]) -> Profile:
    repository(root, files)
    return read_profile(root, files)


def held(profile: Profile, family: str = "python") -> dict[Kind, str]:
    """The value in force of each kind."""
    return {rule.kind: rule.value for rule in profile.in_force(family)}


def found(rules: list[Rule]) -> dict[Kind, str]:
    """Kind → value, of rules that say each kind once."""
    values = {rule.kind: rule.value for rule in rules}
    assert len(values) == len(rules), rules
    return values


def repeated(text: str, times: int = MANY) -> str:
    """A text many times, `{n}` numbered."""
    return "".join(text.replace("{n}", str(n)) for n in range(times))
