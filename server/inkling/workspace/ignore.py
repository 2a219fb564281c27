"""Which paths of a workspace are left alone: `.gitignore`, `.git/info/exclude`, `.inklingignore`.

Both kinds of file have git's syntax and lie at any level. The nearest one that says anything about a
path decides; `.inklingignore` wins over git's, so that it can also bring back what git ignores.
"""

from dataclasses import dataclass
from pathlib import Path

from pathspec import GitIgnoreSpec

GIT_FILE = ".gitignore"
OWN_FILE = ".inklingignore"

# Never a project's own code, whether or not an ignore file says so.
_FOREIGN_FOLDERS = frozenset(
    {".cache", ".gradle", ".hypothesis", ".mypy_cache", ".next", ".nox", ".nuxt", ".pytest_cache"}
    | {".ruff_cache", ".svelte-kit", ".terraform", ".tox", "__pycache__", "bower_components"}
    | {"node_modules", "site-packages"}
)
_REPOSITORIES = frozenset({".git", ".hg", ".svn"})


@dataclass(frozen=True)
class _Level:
    """The patterns of one ignore file, for paths under `folder` (absolute, "/" at its end)."""

    folder: str
    patterns: GitIgnoreSpec


@dataclass(frozen=True)
class IgnoreRules:
    """What holds in one folder: the levels of each kind, nearest first."""

    own: tuple[_Level, ...] = ()
    git: tuple[_Level, ...] = ()

    def within(self, folder: str) -> "IgnoreRules":
        """The rules in a folder below (an absolute path), with the ignore files it has."""
        own, git = _read(folder, OWN_FILE), _read(folder, GIT_FILE)
        if own is None and git is None:
            return self
        return IgnoreRules(_before(own, self.own), _before(git, self.git))

    def ignores_file(self, path: str) -> bool:
        """Whether a file of this folder (an absolute path) is left alone."""
        own = _verdict(self.own, path)
        return own if own is not None else _verdict(self.git, path) or False

    def ignores_folder(self, path: str) -> bool:
        """Whether a folder in this folder (an absolute path) is left alone, with all below it."""
        name = path.rpartition("/")[2]
        if name in _REPOSITORIES:
            return True
        own = _verdict(self.own, path + "/")
        if own is not None:
            return own
        return name in _FOREIGN_FOLDERS or _verdict(self.git, path + "/") or False


def rules_above(root: Path) -> IgnoreRules:
    """What the repository around a workspace says of it: its exclude file, `.gitignore` files above.

    Whoever opens an ignored folder as a workspace means it: then nothing above holds.
    """
    repository = next((it for it in (root, *root.parents) if (it / ".git").exists()), None)
    if repository is None:
        return IgnoreRules()
    rules = IgnoreRules(git=_before(_read(str(repository), ".git/info/exclude"), ()))
    folders = [it for it in (root, *root.parents) if it.is_relative_to(repository)]
    for folder in folders[:0:-1]:
        rules = rules.within(str(folder))
    return IgnoreRules() if any(rules.ignores_folder(str(it)) for it in folders[:-1]) else rules


def _before(level: _Level | None, above: tuple[_Level, ...]) -> tuple[_Level, ...]:
    return above if level is None else (level, *above)


def _verdict(levels: tuple[_Level, ...], path: str) -> bool | None:
    """What the nearest level that knows the path says: to ignore it or not; None if none does."""
    for level in levels:
        verdict = level.patterns.check_file(path[len(level.folder) :]).include
        if verdict is not None:
            return verdict
    return None


def _read(folder: str, name: str) -> _Level | None:
    try:
        text = Path(folder, name).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return _Level(folder.rstrip("/") + "/", _patterns(text))


def _patterns(text: str) -> GitIgnoreSpec:
    """The patterns of an ignore file. A line that is none is passed over, as git does."""
    lines = text.splitlines()
    try:
        return GitIgnoreSpec.from_lines(lines)
    except ValueError:
        return GitIgnoreSpec.from_lines(line for line in lines if _is_pattern(line))


def _is_pattern(line: str) -> bool:
    try:
        GitIgnoreSpec.from_lines([line])
    except ValueError:
        return False
    return True
