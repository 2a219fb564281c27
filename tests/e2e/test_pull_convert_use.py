"""The README's way to gpt-oss-20b, with a tiny one: each command as the one before it says."""

import shlex
from pathlib import Path

import pytest

from tests.e2e.test_cli import inkling
from tests.hub_server import HubServer, Repository
from tests.unit.convert.conversion import publish

pytestmark = pytest.mark.e2e


def test_from_the_hub_to_a_completion(
    runtime: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(runtime / "data"))
    monkeypatch.setenv("HF_HOME", str(runtime / "hf"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setenv("INKLING_ENGINE__DEVICE", "cpu")
    published = publish(tmp_path / "published")
    files = {path.name: path.read_bytes() for path in published.iterdir()}
    with HubServer({"openai/gpt-oss-tiny": Repository(files)}) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        said = inkling("model", "pull", "openai/gpt-oss-tiny", cwd=tmp_path).stdout
    for words in ("convert it: inkling convert ", "choose it: inkling model use "):
        line = next(line for line in said.splitlines() if line.startswith(words))
        command = shlex.split(line.partition(": inkling ")[2])
        ran = inkling(*command, cwd=tmp_path)
        assert ran.returncode == 0, ran.stderr
        said = ran.stdout
    listed = inkling("model", "list", cwd=tmp_path).stdout
    assert "* openai--gpt-oss-tiny-exl2" in listed
    assert "balanced" in listed
    (tmp_path / "a.py").write_text("import os\n\nx = os.\n")
    ran = inkling("complete", "a.py:3", cwd=tmp_path)
    assert "openai--gpt-oss-tiny-exl2 (EXL2) on cpu" in ran.stderr
