"""`inkling eval` as a person uses it, with the real server and engine."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import psutil
import pytest

pytestmark = pytest.mark.e2e

SAMPLES = Path(__file__).parents[1] / "unit" / "context" / "samples"
EVAL = [sys.executable, "-m", "inkling", "eval"]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    shutil.copytree(SAMPLES, folder)
    return folder


def test_it_measures_a_repository_and_says_where_the_figures_lie(
    runtime: Path, repository: Path, tmp_path: Path
) -> None:
    for file in repository.iterdir():
        if file.suffix not in (".py", ".rb"):
            file.unlink()
    command = [*EVAL, "--repo", "shop", "--holes", "4", "--replays", "1", "--without-related"]
    command += ["--kinds", "line", "block"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("4 holes in 2 of 2 files of shop, seed 0\ndemo model on cpu, ")
    for part in ("Context recall", "Completions", "Typed key by key"):
        assert part in ran.stdout
    said = ran.stdout.rstrip().split("\n")[-3:]
    assert said == [f"inkling-eval/{name}" for name in ("eval.json", "latency.svg", "reuse.svg")]
    found = json.loads((tmp_path / said[0]).read_text())
    assert found["is_whole"]
    assert [len(holes) for holes in found["holes"].values()] == [4, 4]
    assert found["difference"]["exact"]["count"] == 4
    assert found["replay"]["patient"]["calls"] >= 1
    assert found["replay"]["patient"]["flicker"] == found["replay"]["hasty"]["flicker"] == 0
    for name in said[1:]:
        ElementTree.parse(tmp_path / name)


def test_an_interrupt_gives_what_was_measured_and_leaves_no_server(
    runtime: Path, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INKLING_ENGINE__MODEL", "stub")
    # A shell's background jobs ignore Ctrl-C, and what they start would too.
    command = ["env", "--default-signal=INT", *EVAL, "--repo", str(repository)]
    command += ["--holes", "100000", "--replays", "1"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("holes, with related code"):
                break
        servers = psutil.Process(process.pid).children()
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "this is what was measured until then" in stderr
    assert "seed 0, interrupted" in stdout
    assert not json.loads((tmp_path / "inkling-eval" / "eval.json").read_text())["is_whole"]
    assert servers
    assert not any(server.is_running() for server in servers)


def test_a_server_that_dies_is_said_and_what_was_measured_is_kept(
    runtime: Path, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INKLING_ENGINE__MODEL", "stub")
    command = [*EVAL, "--repo", str(repository), "--holes", "100000", "--replays", "1"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("holes, with related code"):
                break
        [server] = psutil.Process(process.pid).children()
        server.kill()
        stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 1
    assert stderr.splitlines()[-1].startswith("inkling: the server under test ended by itself")
    assert "Context recall" in stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--repo", "nowhere"], "nowhere is no folder: name a repository with --repo."),
        (["--repo", "empty"], "empty has no source file in a language with a grammar."),
        (["--repo", "shop", "--out", "shop/shop.py"], "shop.py cannot be written (File exists)"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    runtime: Path, repository: Path, tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    (tmp_path / "empty").mkdir()
    environment = {**os.environ, "INKLING_ENGINE__MODEL": "stub"}
    command = [*EVAL, *arguments, "--holes", "1", "--replays", "1"]
    ran = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 1
    assert sentence in ran.stderr.splitlines()[-1]
