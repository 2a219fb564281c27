"""`inkling style`: the profile as a table, then the exact text of the prompt."""

import sys
from collections.abc import Iterator
from pathlib import Path

from inkling.context.languages import LANGUAGES
from inkling.errors import InklingError
from inkling.style.profile import Profile, read_profile
from inkling.style.render import render
from inkling.style.rules import EVERY_LANGUAGE, Rank, Rule
from inkling.workspace.scan import scan

_MAX_VALUE = 44  # characters of a document's sentence shown in the table


class NoFolder(InklingError):
    """The folder given on the command line is none."""


def show_style(folder: Path) -> int:
    """Print the style profile of the repository in a folder, and what of it goes into prompts.

    Problems go to stderr, one line each. Raises NoFolder.
    """
    if not folder.is_dir():
        raise NoFolder(f"{folder} is no folder; say the one whose style you want to see.")
    root = folder.resolve()
    profile = read_profile(root, scan(root).files)
    for problem in profile.problems:
        print(f"inkling: {problem}", file=sys.stderr)
    print("\n".join(report(profile)))
    return 0


def report(profile: Profile) -> Iterator[str]:
    """The lines of the report, language by language."""
    everywhere = [rule for rule in profile.rules if rule.family == EVERY_LANGUAGE]
    if everywhere:
        yield "every language"
        yield from _rows(everywhere, everywhere)
        yield ""
    for family in profile.families:
        of_family = [rule for rule in profile.rules if rule.family == family]
        yield family
        yield from _rows(of_family, profile.in_force(family))
        yield ""
        yield "  in the prompt:"
        language = next(name for name, it in LANGUAGES.items() if it.family == family)
        yield from (f"  │ {line}" for line in render(profile, language).split("\n"))
        yield ""
    if not profile.families:
        yield "No rules: too little code to learn from, and no configuration that says anything."


def _rows(rules: list[Rule], in_force: tuple[Rule, ...] | list[Rule]) -> Iterator[str]:
    kinds = max(len(rule.kind.value) for rule in rules)
    values = max(len(_shown(rule)) for rule in rules)
    for rule in rules:
        holds = rule in in_force
        agrees = any((rule.kind, rule.value) == (it.kind, it.value) for it in in_force)
        mark = " " if holds else "=" if agrees else "-"
        note = "" if holds else " (the same)" if agrees else " (overridden)"
        yield f"{mark} {rule.kind.value:<{kinds}}  {_shown(rule):<{values}}  {rule.source}{note}"


def _shown(rule: Rule) -> str:
    if rule.rank < Rank.DOCUMENTED or len(rule.value) <= _MAX_VALUE:
        return rule.value
    return f"{rule.value[: _MAX_VALUE - 1].rstrip()}…"
