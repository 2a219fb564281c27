"""Settings: which source wins, and what is said of each bad value."""

from pathlib import Path

import pytest

from inkling.config import EngineSettings, Settings, load_settings


@pytest.fixture
def user_file(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    (root / ".inkling").mkdir(parents=True)
    return root


def write_workspace(root: Path, text: str) -> Path:
    file = root / ".inkling" / "config.toml"
    file.write_text(text)
    return file


def test_without_any_source_the_defaults_hold(user_file: Path) -> None:
    assert load_settings(user_file, None, {"PATH": "/bin"}, None) == (Settings(), [])


def test_the_heavier_source_wins(user_file: Path, workspace: Path) -> None:
    user_file.write_text("line_tokens = 1\nblock_tokens = 1\nprompt_tokens = 201\ndebounce_ms = 1")
    write_workspace(workspace, "line_tokens = 2\nblock_tokens = 2\nprompt_tokens = 202")
    environ = {"INKLING_LINE_TOKENS": "3", "INKLING_BLOCK_TOKENS": "3"}
    settings, problems = load_settings(user_file, workspace, environ, {"line_tokens": 4})
    assert problems == []
    assert settings == Settings(line_tokens=4, block_tokens=3, prompt_tokens=202, debounce_ms=1)


def test_one_engine_setting_leaves_the_others_of_lighter_sources(user_file: Path) -> None:
    user_file.write_text('[engine]\nmodel = "/models/a"\nport = 1234')
    environ = {"INKLING_ENGINE__PORT": "4321", "INKLING_ENGINE__DEVICE": "cpu"}
    settings, problems = load_settings(user_file, None, environ, {"engine": {"kv_tokens": 2048}})
    assert problems == []
    assert settings.engine == EngineSettings(
        model="/models/a", port=4321, device="cpu", kv_tokens=2048
    )


def test_a_bad_value_leaves_the_next_lighter_one_in_force(user_file: Path) -> None:
    user_file.write_text("debounce_ms = 70")
    environ = {"INKLING_DEBOUNCE_MS": "soon"}
    settings, problems = load_settings(user_file, None, environ, {"debounce_ms": 9000})
    assert settings == Settings(debounce_ms=70)
    from_environment, from_editor = problems
    assert from_environment.startswith("environment: debounce_ms cannot be 'soon' (")
    assert from_environment.endswith("; it stays 70.")
    assert from_editor.startswith("editor options: debounce_ms cannot be 9000 (")
    assert from_editor.endswith("; it stays 70.")


def test_each_bad_value_is_named_and_the_good_ones_hold(user_file: Path) -> None:
    options = {"engine": {"device": "tpu", "port": 5}, "enabled": "perhaps", "line_tokens": 9}
    settings, problems = load_settings(user_file, None, {}, options)
    assert settings == Settings(line_tokens=9, engine=EngineSettings(port=5))
    assert [problem.split(" cannot be ")[0] for problem in problems] == [
        "editor options: engine.device",
        "editor options: enabled",
    ]


def test_an_unknown_key_gets_a_proposal_if_one_is_near(user_file: Path) -> None:
    user_file.write_text('debounce = 5\ncolour = "red"\n[engine]\nmodle = "/m"')
    settings, problems = load_settings(user_file, None, {}, None)
    assert settings == Settings()
    assert problems == [
        f"{user_file}: there is no setting debounce; did you mean debounce_ms?",
        f"{user_file}: there is no setting colour.",
        f"{user_file}: there is no setting engine.modle; did you mean engine.model?",
    ]


def test_broken_toml_costs_only_its_file(user_file: Path, workspace: Path) -> None:
    user_file.write_text("line_tokens = = 3")
    write_workspace(workspace, "line_tokens = 5")
    settings, problems = load_settings(user_file, workspace, {}, None)
    assert settings == Settings(line_tokens=5)
    [problem] = problems
    assert problem.startswith(f"{user_file}: not valid TOML, the whole file is ignored: ")


def test_a_file_that_is_no_text_or_no_file_is_said_to_be_so(
    user_file: Path, workspace: Path
) -> None:
    user_file.write_bytes(b"line_tokens = 5 # caf\xe9")
    (workspace / ".inkling" / "config.toml").mkdir()
    settings, problems = load_settings(user_file, workspace, {}, None)
    assert settings == Settings()
    assert problems[0] == f"{user_file}: not UTF-8 (byte 21), the whole file is ignored."
    assert "config.toml: cannot be read, it is ignored: " in problems[1]


def test_a_workspace_cannot_choose_the_engine(user_file: Path, workspace: Path) -> None:
    file = write_workspace(workspace, 'line_tokens = 5\n[engine]\nmodel = "/evil"')
    settings, problems = load_settings(user_file, workspace, {}, None)
    assert settings == Settings(line_tokens=5)
    assert problems == [
        f"{file}: engine settings are ignored in a workspace; put them in {user_file}."
    ]


def test_null_in_editor_options_is_unset(user_file: Path) -> None:
    user_file.write_text('line_tokens = 5\n[engine]\nmodel = "/m"')
    options = {"line_tokens": None, "engine": {"model": None}}
    settings, problems = load_settings(user_file, None, {}, options)
    assert problems == []
    assert settings == Settings(line_tokens=5, engine=EngineSettings(model="/m"))


def test_lists_in_the_environment_are_separated_by_commas(user_file: Path) -> None:
    environ = {"INKLING_DISABLED_LANGUAGES": "markdown, plaintext"}
    settings, problems = load_settings(user_file, None, environ, None)
    assert problems == []
    assert settings.disabled_languages == ("markdown", "plaintext")


def test_bits_of_the_kv_cache_are_16_or_8(user_file: Path) -> None:
    settings, problems = load_settings(user_file, None, {"INKLING_ENGINE__KV_BITS": "8"}, None)
    assert (settings.engine.kv_bits, problems) == (8, [])
    for value in (4, "eight", 8.5):
        settings, [problem] = load_settings(user_file, None, {}, {"engine": {"kv_bits": value}})
        assert settings.engine.kv_bits == 16
        assert problem.startswith(f"editor options: engine.kv_bits cannot be {value!r} (")
        assert problem.endswith("16 or 8); it stays 16.")


def test_an_empty_variable_and_the_runtime_folder_are_no_settings(user_file: Path) -> None:
    environ = {"INKLING_ENGINE__MODEL": "", "INKLING_RUNTIME_DIR": "/run/x"}
    assert load_settings(user_file, None, environ, None) == (Settings(), [])


@pytest.mark.parametrize("options", [[], "fast", 3])
def test_editor_options_that_are_no_object_are_ignored(user_file: Path, options: object) -> None:
    settings, problems = load_settings(user_file, None, {}, options)
    assert settings == Settings()
    assert problems == ["editor options: the settings must be an object; they are ignored."]


def test_a_value_where_a_table_belongs_is_ignored(user_file: Path) -> None:
    settings, problems = load_settings(user_file, None, {}, {"engine": "cuda"})
    assert settings == Settings()
    assert problems == ["editor options: engine must be a table of settings; it is ignored."]
