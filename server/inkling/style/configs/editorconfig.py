""".editorconfig: what its sections say of the files that there are, by EditorConfig's own matching."""

from collections import Counter
from collections.abc import Iterator, Sequence
from io import StringIO
from pathlib import PurePosixPath

from editorconfig.exceptions import ParsingError
from editorconfig.ini import EditorConfigParser

from inkling.style.configs.reading import ConfigFiles, Table
from inkling.style.rules import Kind, Rule
from inkling.style.tally import MIN_SHARE

_FILE = ".editorconfig"
# Sections speak of kinds of files and of folders: more examples than these tell nothing new.
_MAX_EXAMPLES = 24


class _Parser(EditorConfigParser):
    """The library's parser, fed with text: its own `read` leaves a faulty file open."""

    def read_text(self, text: str, file: str) -> None:
        # All that is asked of the stream is `readline`.
        self._read(StringIO(text), file)  # type: ignore[arg-type]


def editorconfig_rules(files: ConfigFiles, family: str, paths: Sequence[str]) -> Iterator[Rule]:
    """What holds for most of a family's files (`paths`, relative to the repository)."""
    step = max(1, len(paths) // _MAX_EXAMPLES)
    examples = paths[::step][:_MAX_EXAMPLES]
    seen: Counter[tuple[Kind, str, str, str]] = Counter()
    for path in examples:
        options = _options(files, path)
        seen.update(_facts(options))
    for (kind, value, file, key), count in sorted(seen.items()):
        if count >= MIN_SHARE * len(examples):
            yield Table(file).rule(kind, value, family, key)


def _facts(options: dict[str, tuple[str, str]]) -> Iterator[tuple[Kind, str, str, str]]:
    """Kind, value, file and key of each rule that a file's options make."""
    style, style_file = options.get("indent_style", ("", ""))
    size, size_file = options.get("indent_size", ("", ""))
    if size == "tab" or not size:
        size, size_file = options.get("tab_width", ("", ""))
    limit, limit_file = options.get("max_line_length", ("", ""))
    if style == "tab":
        yield Kind.INDENT, "tabs", style_file, "indent_style"
    elif style == "space" and size.isdecimal():
        yield Kind.INDENT, f"{size} spaces", size_file, "indent_size"
    if limit.isdecimal():
        yield Kind.LINE_LENGTH, limit, limit_file, "max_line_length"


def _options(files: ConfigFiles, path: str) -> dict[str, tuple[str, str]]:
    """The options for one file and where each stands: the nearest `.editorconfig` wins, up to the
    repository's top or one that says it is the root."""
    options: dict[str, tuple[str, str]] = {}
    for folder in PurePosixPath(path).parents:
        file = (folder / _FILE).as_posix()
        parser = _Parser(str(files.root / path))
        try:
            parser.read_text(files.text(file), str(files.root / file))
        except ParsingError as error:
            said = str(error).split("\n", 1)[0]
            problem = f"{file}: not a valid EditorConfig file ({said}); what can be read counts."
            if problem not in files.problems:
                files.problems.append(problem)
        for key, value in parser.options.items():
            options.setdefault(key, (value.lower(), file))
        if parser.root_file:
            break
    return options
