"""Which test file belongs to which source file, by the names that languages and teams use."""

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import PurePosixPath

# A name's parts around what is tested: test_x, x_test, x.spec, XTests, ...
_TEST_STEM = re.compile(
    r"^(?:test[_-](?P<after>.+)"
    r"|(?P<before>.+?)(?:[._-](?:test|tests|spec|unittest|unit)|(?<=[a-z0-9])(?:Tests?|Spec|IT)))$"
)
_STARTS = ("test_", "test-")
_ENDINGS = tuple(
    f"{mark}{word}" for mark in "._-" for word in ("test", "spec", "tests", "unit")
) + (*("_unittest", "Test", "Tests", "Spec", "IT"),)
_TEST_FOLDERS = frozenset({"__tests__", "spec", "specs", "test", "tests"})
# Folders that say nothing about which module a file belongs to.
_LAYOUT_FOLDERS = _TEST_FOLDERS | {"app", "java", "kotlin", "lib", "main", "php", "src", "unit"}


def stem_of(path: str) -> str:
    """A file's name without what makes it a file of its language."""
    return PurePosixPath(path).stem


def subject_of(path: str) -> str:
    """The stem of the file that a test file tests, "" if the path is no test's."""
    if found := _TEST_STEM.match(stem_of(path)):
        return found["after"] or found["before"]
    return stem_of(path) if _TEST_FOLDERS.intersection(PurePosixPath(path).parts[:-1]) else ""


def pair_stems(path: str) -> tuple[str, ...]:
    """The stems that a file's counterpart may have; a package's own file has none."""
    if stem_of(path) == "__init__":
        return ()
    if subject := subject_of(path):
        return (subject,)
    stem = stem_of(path)
    return (stem, *(start + stem for start in _STARTS), *(stem + ending for ending in _ENDINGS))


def nearest(path: str, candidates: Iterable[str]) -> str | None:
    """The likeliest counterpart of a file: of a test no test, of a source file a test.

    The more of a path's folders two files share, the nearer they are.
    """
    is_test = bool(subject_of(path))
    folders = _folders(path)

    def distance(candidate: str) -> tuple[int, int, str]:
        others = _folders(candidate)
        return (folders - others).total(), (others - folders).total(), candidate

    fitting = (it for it in candidates if it != path and bool(subject_of(it)) != is_test)
    return min(fitting, key=distance, default=None)


def _folders(path: str) -> Counter[str]:
    parts = (part.lower() for part in PurePosixPath(path).parts[:-1])
    return Counter(part for part in parts if part not in _LAYOUT_FOLDERS)
