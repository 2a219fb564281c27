"""The files that style is learnt from: a bounded sample, the same for the same repository."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from tree_sitter import Node

from inkling.context.definitions import Definition, definitions
from inkling.context.languages import LANGUAGE_OF_EXTENSION, LANGUAGES
from inkling.context.syntax import SyntaxTree, parse
from inkling.silence import is_secret
from inkling.style.trees import nodes
from inkling.workspace.scan import read_code

MAX_FILES = 200
MAX_CHARS = 1 << 20
# Most rules are about the code itself; of tests, a part is enough.
_TESTS_SHARE = 0.3
# A language with few files is not crowded out by one with thousands.
MIN_FILES_OF_FAMILY = 12
MAX_CHARS_OF_FILE = 128 << 10

_TEST_PATH = re.compile(
    r"(^|/)(tests?|__tests__|spec)/|(^|/)(test_[^/]*|conftest\.py)$|[._](test|spec)\.\w+$|_test\.\w+$"
)
# Nobody writes these by hand here.
_FOREIGN_PATH = re.compile(
    r"(^|/)(\.venv|venv|node_modules|site-packages|third_party|_?vendor(ed)?|dist|build)/"
    r"|\.min\.\w+$|_pb2(_grpc)?\.pyi?$|\.d\.ts$"
)
# What tests read is odd on purpose.
_TEST_DATA = re.compile(
    r"(^|/)tests?/(.*/)?(data|test_?data|cases|fixtures|samples|snapshots)/|(^|/)testdata/"
)
_GENERATED = re.compile(r"@generated|\bdo not edit\b", re.IGNORECASE)
_HEAD_CHARS = 600


@dataclass(frozen=True)
class Source:
    """One file of the sample. `path` is relative to the repository, with forward slashes."""

    path: str
    text: str
    tree: SyntaxTree

    @cached_property
    def definitions(self) -> tuple[Definition, ...]:
        return definitions(self.tree)

    @cached_property
    def prose(self) -> list[Node]:
        """The comments and strings, and what they consist of."""
        kinds = " ".join(f"({kind})" for kind in sorted(self.tree.language.texts))
        return nodes(self.tree, f"[{kinds}] @prose")

    @property
    def family(self) -> str:
        return self.tree.language.family

    @property
    def is_test(self) -> bool:
        return is_test(self.path)


def is_test(path: str) -> bool:
    """Whether a path is a test's, by the conventions of its folder or its name."""
    return bool(_TEST_PATH.search(path))


def family_of(path: str) -> str:
    """The family of a file's language, "" if it has no grammar here."""
    language = LANGUAGE_OF_EXTENSION.get(PurePosixPath(path).suffix.lower())
    return LANGUAGES[language].family if language is not None else ""


def own_code(paths: Iterable[str]) -> list[str]:
    """The paths, sorted, that look like the team's own code in a language with a grammar here."""
    return sorted({path for path in paths if family_of(path) and _is_own(path)})


def read_sample(root: Path, paths: Iterable[str]) -> tuple[Source, ...]:
    """Read and parse a sample of `own_code(paths)` (relative to `root`), sorted by path.

    Files are drawn by the hash of their path: spread over the repository, and a file that comes or
    goes changes at most one other. What cannot be read, is generated or not UTF-8 is passed over.
    """
    drawn = _draw(own_code(paths))
    sources = []
    left = MAX_CHARS
    for path in drawn:
        text = _read(root / path)
        if text is None or len(text) > left:
            continue
        tree = parse(LANGUAGE_OF_EXTENSION[PurePosixPath(path).suffix.lower()], text)
        if tree is not None:
            left -= len(text)
            sources.append(Source(path, text, tree))
    return tuple(sorted(sources, key=lambda source: source.path))


def _is_own(path: str) -> bool:
    return not (_FOREIGN_PATH.search(path) or _TEST_DATA.search(path) or is_secret(path))


def _draw(paths: list[str]) -> Iterator[str]:
    """At most MAX_FILES paths, each family in proportion; more only to show a rare family."""
    of_family: dict[str, list[str]] = defaultdict(list)
    for path in sorted(paths, key=_spread):
        of_family[family_of(path)].append(path)
    # The rare ones first: the limit of characters cuts the rest.
    for family in sorted(of_family, key=lambda family: (len(of_family[family]), family)):
        members = of_family[family]
        room = max(MAX_FILES * len(members) // len(paths), MIN_FILES_OF_FAMILY)
        tests = [path for path in members if is_test(path)]
        others = [path for path in members if not is_test(path)]
        num_tests = max(int(room * _TESTS_SHARE), room - len(others))
        drawn = {*others[: room - len(tests[:num_tests])], *tests[:num_tests]}
        yield from (path for path in members if path in drawn)


def _spread(path: str) -> bytes:
    return hashlib.sha256(path.encode("utf-8", errors="surrogatepass")).digest()


def _read(file: Path) -> str | None:
    text = read_code(file)
    is_generated = text is not None and _GENERATED.search(text, 0, _HEAD_CHARS)
    return None if is_generated or text is None or len(text) > MAX_CHARS_OF_FILE else text
