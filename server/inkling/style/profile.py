"""The style of a repository: every rule with its source, and which of them are in force."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from inkling.style.configs.editorconfig import editorconfig_rules
from inkling.style.configs.javascript import javascript_defaults, javascript_rules
from inkling.style.configs.others import c_rules, go_rules, ruby_rules, rust_rules
from inkling.style.configs.python import python_rules
from inkling.style.configs.reading import ConfigFiles, read_text
from inkling.style.documents import (
    DOCUMENTS,
    USER_FILE,
    document_rules,
    user_rules,
    user_text,
)
from inkling.style.learn import learn
from inkling.style.rules import EVERY_LANGUAGE, Kind, Rank, Rule
from inkling.style.sample import family_of, own_code, read_sample

# A folder is a family's home if it holds this share of its files.
_HOME_SHARE = 0.9
_READERS = {
    "python": python_rules,
    "javascript": javascript_rules,
    "go": go_rules,
    "rust": rust_rules,
    "c": c_rules,
    "ruby": ruby_rules,
}
# What `.editorconfig` outweighs.
_DEFAULTS = {"javascript": javascript_defaults}


@dataclass(frozen=True)
class Profile:
    """All rules found: of one family and kind the ones that win first. `user_text` is the part of
    the user's file that goes into every prompt; `problems` are sentences on what cannot be read."""

    rules: tuple[Rule, ...] = ()
    user_text: str = ""
    problems: tuple[str, ...] = ()

    @property
    def families(self) -> tuple[str, ...]:
        """The language families that there are rules for, sorted."""
        return tuple(sorted({rule.family for rule in self.rules} - {EVERY_LANGUAGE}))

    def in_force(self, family: str) -> tuple[Rule, ...]:
        """The rules that hold for a family, in the order of their kinds.

        Of each kind the highest rank wins: all sentences of documents, or the first other rule. What
        documents say about anything else holds beside the rest.
        """
        about = [rule for rule in self.rules if rule.family in (EVERY_LANGUAGE, family)]
        held: list[Rule] = []
        for kind in Kind:
            found = [rule for rule in about if rule.kind is kind]
            highest = max((rule.rank for rule in found), default=Rank.LEARNT)
            if kind is Kind.STATED:
                held += found  # each about something else
            elif highest >= Rank.DOCUMENTED:
                held += [rule for rule in found if rule.rank is highest]
            else:
                held += [rule for rule in found if rule.rank is highest][:1]
        return tuple(held)


def read_profile(root: Path, paths: Iterable[str]) -> Profile:
    """The profile of the repository at `root`, whose files are `paths` (relative, with "/").

    Never raises for what the repository holds. Reads at most a sample of the files.
    """
    problems: list[str] = []
    listed = own_code(paths)
    written = read_text(root, USER_FILE, problems)
    prompt_text, num_chars = user_text(written)
    if len(prompt_text) < num_chars:
        problems.append(
            f"{USER_FILE}: only its first {len(prompt_text)} of {num_chars} characters go into the"
            " prompt; make it shorter."
        )
    rules = [*user_rules(prompt_text)]
    for file in DOCUMENTS:
        rules += document_rules(read_text(root, file, problems), file)
    rules += configured_rules(root, listed, problems)
    rules += learn(read_sample(root, listed))
    order = list(Kind)
    unique = list(dict.fromkeys(rules))
    unique.sort(key=lambda rule: (rule.family, order.index(rule.kind), -rule.rank))
    return Profile(tuple(unique), prompt_text, tuple(dict.fromkeys(problems)))


def configured_rules(root: Path, paths: list[str], problems: list[str]) -> Iterator[Rule]:
    """What configurations declare for the families that have files, by falling weight."""
    files_in: dict[str, ConfigFiles] = {}
    for family in sorted({family_of(path) for path in paths}):
        members = [path for path in paths if family_of(path) == family]
        folders = _home(members)
        for folder in folders:
            files_in.setdefault(folder, ConfigFiles(root, folder, problems))
        if reader := _READERS.get(family):
            for folder in folders:
                yield from reader(files_in[folder])
        yield from editorconfig_rules(files_in[""], family, members)
        if reader := _DEFAULTS.get(family):
            for folder in folders:
                yield from reader(files_in[folder])


def _home(paths: list[str]) -> list[str]:
    """The folder that holds nearly all of a family's files, and those above it up to the top ("")."""
    home = PurePosixPath()
    while True:
        depth = len(home.parts)
        parents = [PurePosixPath(path).parent.parts for path in paths]
        below = [parts[depth] for parts in parents if len(parts) > depth]
        fullest = max(sorted(set(below)), key=below.count, default="")
        inside = [path for path in paths if PurePosixPath(path).is_relative_to(home / fullest)]
        if not fullest or len(inside) < _HOME_SHARE * len(paths):
            return ["" if str(it) == "." else str(it) for it in (home, *home.parents)]
        home, paths = home / fullest, inside
