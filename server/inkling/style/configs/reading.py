"""Configuration files as tables whose values have the type that is asked for."""

import configparser
import json
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import yaml

from inkling.style.rules import Kind, Rank, Rule

_MAX_CHARS = 1 << 20
# A string, or a comment or trailing comma that plain JSON does not know.
_COMMENT = re.compile(r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/', re.DOTALL)
_LAST_COMMA = re.compile(r'("(?:\\.|[^"\\])*")|,(?=\s*[}\]])')


@dataclass(frozen=True)
class Table:
    """One table of a configuration. What has the wrong type is a problem, and as if not there."""

    file: str  # relative to the repository
    path: tuple[str, ...] = ()
    values: Mapping[str, object] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.values)

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def table(self, *keys: str) -> "Table":
        """The table below, an empty one if there is none."""
        found = self
        for key in keys:
            value = found.values.get(key, {})
            if not isinstance(value, Mapping):
                found._complain(key, "a table")
                value = {}
            found = Table(self.file, (*found.path, key), value, self.problems)
        return found

    def number(self, key: str) -> int | None:
        """A whole number, also where a format without types has it as text."""
        value = self.values.get(key)
        if isinstance(value, str) and value.strip().isdecimal():
            value = int(value)
        if value is None or (isinstance(value, int) and not isinstance(value, bool)):
            return value
        self._complain(key, "a whole number")
        return None

    def text(self, key: str) -> str | None:
        value = self.values.get(key)
        if value is None or isinstance(value, str):
            return value
        self._complain(key, "a text")
        return None

    def flag(self, key: str) -> bool | None:
        """True or false, also as the words."""
        value = self.values.get(key)
        if isinstance(value, str) and value.lower() in ("true", "false"):
            value = value.lower() == "true"
        if value is None or isinstance(value, bool):
            return value
        self._complain(key, "true or false")
        return None

    def words(self, key: str) -> tuple[str, ...]:
        """A list of texts, also as one text separated by commas or blanks."""
        value = self.values.get(key)
        if isinstance(value, str):
            return tuple(re.split(r"[\s,]+", re.sub(r"#.*", "", value).strip()))
        if value is None or isinstance(value, list):
            return tuple(str(word) for word in value or ())
        self._complain(key, "a list")
        return ()

    def rule(self, kind: Kind, value: str, family: str, key: str = "", note: str = "") -> Rule:
        """A rule whose source is this table's key, or the table itself."""
        where = ".".join((*self.path, key) if key else self.path)
        source = f"{self.file}, {where}" if where else self.file
        return Rule(kind, value, family, f"{source}{note}", Rank.CONFIGURED)

    def _complain(self, key: str, wanted: str) -> None:
        where = ".".join((*self.path, key))
        self.problems.append(f"{self.file}: {where} is not {wanted}; it is ignored.")


class ConfigFiles:
    """Reads the configurations in one folder of a repository; `problems` gathers what is wrong in
    them. Files are named relative to the folder, and in tables relative to the repository."""

    def __init__(self, root: Path, folder: str = "", problems: list[str] | None = None) -> None:
        self.root = root
        self.problems: list[str] = problems if problems is not None else []
        self._folder = PurePosixPath(folder)
        self._texts: dict[str, str] = {}
        self._values_of: dict[str, Mapping[str, object]] = {}

    def toml(self, file: str) -> Table:
        return self._table(file, tomllib.loads, "TOML")

    def json(self, file: str) -> Table:
        return self._table(file, _load_json, "JSON")

    def yaml(self, file: str) -> Table:
        return self._table(file, _load_yaml, "YAML")

    def ini(self, file: str) -> Table:
        return self._table(file, _load_ini, "INI")

    def text(self, file: str) -> str:
        """The text of a file named relative to the repository, "" if there is none."""
        if file not in self._texts:
            self._texts[file] = read_text(self.root, file, self.problems)
        return self._texts[file]

    def is_there(self, file: str) -> bool:
        """Whether a table's file exists, with or without anything in it."""
        return (self.root / file).is_file()

    def _table(self, name: str, load: Callable[[str], object], language: str) -> Table:
        file = (self._folder / name).as_posix()
        if file not in self._values_of:
            self._values_of[file] = self._values(file, load, language)
        return Table(file, values=self._values_of[file], problems=self.problems)

    def _values(
        self, file: str, load: Callable[[str], object], language: str
    ) -> Mapping[str, object]:
        text = self.text(file)
        if not text.strip():
            return {}
        try:
            values = load(text)
        # RecursionError: a file of ten thousand brackets.
        except (ValueError, yaml.YAMLError, configparser.Error, RecursionError) as error:
            said = str(error).split("\n", 1)[0]
            self.problems.append(f"{file}: not valid {language} ({said}); it is ignored.")
            return {}
        if isinstance(values, Mapping):
            return {str(key): value for key, value in values.items()}
        self.problems.append(f"{file}: not a table of settings; it is ignored.")
        return {}


def read_text(root: Path, file: str, problems: list[str]) -> str:
    """A file's text, "" if it is not there, or not to be read, which is a problem."""
    try:
        return (root / file).read_text(encoding="utf-8-sig")[:_MAX_CHARS]
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        pass
    except UnicodeDecodeError as error:
        problems.append(f"{file}: not UTF-8 (byte {error.start}); it is ignored.")
    except OSError as error:
        problems.append(f"{file}: cannot be read ({error.strerror}); it is ignored.")
    return ""


def _load_json(text: str) -> object:
    """JSON, with the comments and trailing commas that its editors put up with."""
    return json.loads(_LAST_COMMA.sub(_string, _COMMENT.sub(_string, text)))


def _string(match: re.Match[str]) -> str:
    return match[1] or ""


def _load_yaml(text: str) -> object:
    """The first document; a file of several is one of clang-format's, by language."""
    documents = [it for it in yaml.safe_load_all(text) if it is not None]
    named = (it for it in documents if isinstance(it, Mapping) and it.get("Language") == "Cpp")
    return next(named, documents[0] if documents else {})


def _load_ini(text: str) -> object:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.read_string(text)
    return {name: dict(parser[name]) for name in parser.sections()}
