"""The settings file under `inkling model use`: one value changes, nothing else."""

import stat
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inkling.config import EngineSettings, load_settings
from inkling.hub.choice import ChoiceError, set_model


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


def engine(file: Path) -> EngineSettings:
    settings, problems = load_settings(file, None, {}, None)
    assert problems == []
    return settings.engine


def test_a_file_is_made_where_there_is_none(tmp_path: Path) -> None:
    file = tmp_path / "new" / "config.toml"
    set_model(file, "/m")
    assert file.read_text() == '[engine]\nmodel = "/m"\n'


def test_nothing_is_made_to_unset_what_is_not_set(file: Path) -> None:
    set_model(file, None)
    assert not file.exists()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            '# mine\nline_tokens = 5  # short\n\n[engine]\n# why\nmodel = "/a"   # old\nport = 3\n',
            '# mine\nline_tokens = 5  # short\n\n[engine]\n# why\nmodel = "/m"   # old\nport = 3\n',
        ),
        ("[engine]\nport = 3\n", '[engine]\nport = 3\nmodel = "/m"\n'),
        ("line_tokens = 5\n", 'line_tokens = 5\n\n[engine]\nmodel = "/m"\n'),
        ("engine = { port = 3 }\n", 'engine = { port = 3, model = "/m"}\n'),
        (
            "engine.port = 3\nline_tokens = 5\n",
            'engine.port = 3\nengine.model = "/m"\nline_tokens = 5\n',
        ),
    ],
)
def test_the_rest_stays_as_it_was_written(file: Path, before: str, after: str) -> None:
    file.write_text(before)
    set_model(file, "/m")
    assert file.read_text() == after
    assert engine(file).model == "/m"


def test_unset_takes_the_line_and_no_other(file: Path) -> None:
    file.write_text('# mine\n[engine]\n# why\nmodel = "/a"\nport = 3  # p\n')
    set_model(file, None)
    assert file.read_text() == "# mine\n[engine]\n# why\nport = 3  # p\n"


_TOP = st.sampled_from(
    [
        "line_tokens = 5  # a",
        "# about lines",
        "",
        'disabled_languages = [\n  "x", # y\n]',
        "enabled=true",
    ]
)
_ENGINE = st.sampled_from(
    ["port = 3 # b", "# about the engine", "", "idle_minutes=1.5", "\tkv_tokens = 2_048"]
)
_MODEL = st.sampled_from(['model = "/a"', "model='/a'  # c", "# model = 1"])


@given(
    top=st.lists(_TOP, unique=True, max_size=5),
    above=st.lists(_ENGINE, unique=True, max_size=3),
    model=st.none() | _MODEL,
    below=st.lists(_ENGINE, unique=True, max_size=3),
    has_table=st.booleans(),
    end=st.sampled_from(["", "\n"]),
    chosen=st.none() | st.text(min_size=1).filter(lambda text: "\0" not in text),
)
def test_every_other_line_survives_in_its_order(
    tmp_path_factory: pytest.TempPathFactory,
    top: list[str],
    above: list[str],
    model: str | None,
    below: list[str],
    has_table: bool,
    end: str,
    chosen: str | None,
) -> None:
    file = tmp_path_factory.getbasetemp() / "property.toml"
    below = [line for line in below if line not in above]
    table = ["[engine]  # here", *above, *([model] if model else []), *below] if has_table else []
    file.write_text("\n".join([*top, *table]) + end)
    before = tomllib.loads(file.read_text())
    lines = [line for line in file.read_text().splitlines() if not line.startswith("model")]
    set_model(file, chosen)
    left = iter(file.read_text().splitlines())
    assert all(line in left for line in lines if line)
    expected = before.pop("engine", {})
    expected.pop("model", None)
    after = tomllib.loads(file.read_text())
    found = after.pop("engine", {})
    assert found.pop("model", None) == chosen
    assert (after, found) == (before, expected)


def test_a_link_stays_a_link_and_rights_stay_as_they_are(tmp_path: Path, file: Path) -> None:
    dotfile = tmp_path / "dotfiles.toml"
    dotfile.write_text("line_tokens = 5\n")
    dotfile.chmod(0o600)
    file.symlink_to(dotfile)
    set_model(file, "/m")
    assert file.is_symlink()
    assert engine(dotfile).model == "/m"
    assert stat.S_IMODE(dotfile.stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.toml", "dotfiles.toml"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b"line_tokens = = 5", "is not valid TOML (.*): mend or remove it"),
        (b"engine = 3", "is not valid TOML .engine is no table.: mend or remove it"),
        (b"[[engine]]\nport = 3", "is not valid TOML .engine is no table."),
        (b"# caf\xe9", "is not valid TOML (.*): mend"),
    ],
)
def test_a_broken_file_is_left_alone(file: Path, text: bytes, sentence: str) -> None:
    file.write_bytes(text)
    with pytest.raises(ChoiceError, match=sentence) as raised:
        set_model(file, "/m")
    assert "\n" not in str(raised.value)
    assert file.read_bytes() == text


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ChoiceError, match=r"file\S* cannot be read or written .Not a directory"):
        set_model(tmp_path / "file" / "inkling" / "config.toml", "/m")
