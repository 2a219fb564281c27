"""`inkling model` as a person uses it, against a hub of our own."""

import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from inkling.engine.pick import demo_folder
from tests.checkpoints import SHARD_BYTES, WANTED, exl2, published
from tests.e2e.test_cli import inkling
from tests.hub_server import HubServer
from tests.processes import engine_pid

pytestmark = pytest.mark.e2e

WAIT_S = 30.0


@pytest.fixture
def hub(runtime: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A hub with gpt-oss as published and in EXL2; the CLI's data and settings are this test's."""
    monkeypatch.setenv("XDG_DATA_HOME", str(runtime / "data"))
    monkeypatch.setenv("HF_HOME", str(runtime / "hf"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    for name in ("HF_TOKEN", "HF_HUB_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "INKLING_ENGINE__MODEL"):
        monkeypatch.delenv(name, raising=False)
    with HubServer({"acme/published": published(), "acme/exl2": exl2()}) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield hub


@pytest.fixture
def models(runtime: Path) -> Path:
    return runtime / "data" / "inkling" / "models"


@pytest.fixture
def model(hub: HubServer, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `inkling model ...`."""
    return lambda *arguments: inkling("model", *arguments, cwd=tmp_path)


Model = Callable[..., subprocess.CompletedProcess[str]]


def start(*arguments: str, stderr: int = subprocess.PIPE) -> subprocess.Popen[str]:
    # Tests that run in a shell's background ignore Ctrl-C, and what they start would too.
    env = ["env", "--default-signal=INT"]
    command = [*env, sys.executable, "-m", "inkling", "model", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def config(runtime: Path) -> Path:
    return runtime / "config" / "inkling" / "config.toml"


class Barrier:
    """Stops the hub at a byte of the first shard until it is opened."""

    def __init__(self, hub: HubServer, position: int) -> None:
        self.position = position
        self.gate = threading.Event()
        hub.before_piece = self

    def __call__(self, path: str, position: int) -> None:
        if "blobs" in path and position >= self.position:
            self.gate.wait(WAIT_S)


def test_pull_list_use(hub: HubServer, model: Model, models: Path, runtime: Path) -> None:
    pulled = model("pull", "acme/exl2")
    folder = models / "acme--exl2"
    commit = hub.repositories["acme/exl2"].commit[:7]
    assert pulled.stdout.splitlines() == [
        f"acme/exl2 at {commit} → {folder} (8 files, 0.6 MB)",
        "0.6 MB fetched; every file has the hash that the hub gives for it.",
        "choose it: inkling model use acme--exl2",
    ]
    assert re.fullmatch(r"(pulling +\d+ %  \S+ MB of 0.6 MB.*\n)+", pulled.stderr)
    assert pulled.returncode == 0
    assert {path.name for path in folder.iterdir()} == {*WANTED, "pulled.json"}

    listed = model("list").stdout.splitlines()
    assert re.fullmatch(r"\* demo +\d+\.\d MB  the demo model, comes with Inkling", listed[0])
    assert re.fullmatch(r"  acme--exl2 +0\.6 MB  EXL2, recipe balanced", listed[1])
    assert listed[-1] == f"* chosen by the settings; pulled models are in {models}"

    used = model("use", "acme--exl2")
    assert used.returncode == 0
    assert used.stdout.splitlines() == [
        f"engine.model is {folder} in {config(runtime)}.",
        "It holds for the next engine; editors that are open need to be started again.",
    ]
    assert config(runtime).read_text() == f'[engine]\nmodel = "{folder}"\n'
    assert model("list").stdout.splitlines()[1].startswith("* acme--exl2")

    unset = model("use", "demo")
    assert f"engine.model is unset: the demo model in {config(runtime)}." in unset.stdout
    assert model("list").stdout.startswith("* demo")


def test_what_is_published_is_to_be_converted(hub: HubServer, model: Model, models: Path) -> None:
    folder = models / "acme--published"
    cure = f"inkling convert {folder} {folder}-exl2 --recipe balanced"
    assert model("pull", "acme/published").stdout.splitlines()[-1] == f"convert it: {cure}"
    assert "MXFP4, as published: convert it to serve it" in model("list").stdout
    used = model("use", "acme/published")
    assert used.returncode == 1
    assert used.stderr == (
        f"inkling: {folder} is a checkpoint as published, which the engine does not serve; convert"
        f" it first: {cure}\n"
    )


def test_a_killed_pull_goes_on_where_it_was(hub: HubServer, model: Model, models: Path) -> None:
    barrier = Barrier(hub, SHARD_BYTES // 2)
    stopped_at = -(-barrier.position // (1 << 14)) * (1 << 14)  # the hub sends pieces of 16 KiB
    part = models / "acme--exl2.part"

    def is_there() -> bool:
        drafts = list(part.glob("model-00000*.part"))
        return bool(drafts) and drafts[0].stat().st_size == stopped_at

    num_threads = threading.active_count()
    process = start("pull", "acme/exl2")
    wait_for(is_there)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    listed = model("list").stdout
    assert "acme--exl2.part" in listed
    assert "not whole: the same pull or conversion goes on" in listed
    assert model("use", "acme--exl2").returncode == 1
    assert "is not whole yet: run the pull" in model("use", "acme--exl2.part").stderr

    barrier.gate.set()
    wait_for(lambda: threading.active_count() <= num_threads)  # the hub noticed
    hub.sent_bytes = 0
    num_before = len(hub.requests)
    again = model("pull", "acme/exl2")
    assert again.returncode == 0
    files = hub.repositories["acme/exl2"].files
    total = sum(len(files[name]) for name in WANTED)
    small = total - 2 * SHARD_BYTES
    assert hub.sent_bytes == total - small - stopped_at
    starts = [request.start for request in hub.requests[num_before:] if "blobs" in request.path]
    assert starts == [stopped_at, None]
    folder = models / "acme--exl2"
    assert {name: (folder / name).read_bytes() for name in WANTED} == {
        name: files[name] for name in WANTED
    }


def test_an_interrupted_pull_says_how_to_go_on(hub: HubServer, models: Path) -> None:
    barrier = Barrier(hub, SHARD_BYTES // 2)
    process = start("pull", "acme/exl2")
    wait_for(lambda: any(models.glob("*/model-00000*.part")))
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=WAIT_S)
    barrier.gate.set()
    assert process.returncode == 130
    assert said.splitlines()[-1] == "inkling: stopped; the same command goes on from here."
    assert "Traceback" not in said


def test_a_terminal_gets_one_bar(hub: HubServer) -> None:
    terminal, stderr = pty.openpty()
    process = start("pull", "acme/exl2", stderr=stderr)
    os.close(stderr)
    process.communicate(timeout=WAIT_S)
    drawn = os.read(terminal, 1 << 16).decode()
    os.close(terminal)
    assert drawn.count("\n") == 1
    assert re.search(r"pulling +━+ 100 %  0\.6 MB of 0\.6 MB", drawn)


def test_nothing_is_told_and_the_library_is_silent(
    hub: HubServer, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_ENABLE_HF_TRANSFER", "1")  # the library warns of it
    monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "0")
    pulled = model("pull", "acme/exl2")
    assert all(line.startswith("pulling ") for line in pulled.stderr.splitlines())
    agents = {request.user_agent for request in hub.requests}
    assert all(
        re.fullmatch(r"unknown/None; hf_hub/[\d.]+; python/[\d.]+", agent) for agent in agents
    )
    assert {request.path.split("/")[1] for request in hub.requests} == {"api", "acme", "blobs"}


def test_a_branch_is_another_model(hub: HubServer, model: Model, models: Path) -> None:
    hub.repositories["acme/exl2"].revision = "5.0bpw"
    assert model("pull", "acme/exl2", "--revision", "5.0bpw").returncode == 0
    assert (models / "acme--exl2@5.0bpw" / "config.json").is_file()
    missing = model("pull", "acme/exl2", "--revision", "6.0bpw")
    assert missing.returncode == 1
    assert "acme/exl2 has no revision 6.0bpw" in missing.stderr


def test_what_cannot_be_had_is_one_clear_sentence(
    hub: HubServer, model: Model, runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def said(*arguments: str) -> str:
        ran = model(*arguments)
        assert ran.returncode == 1
        [line] = ran.stderr.splitlines()
        assert line.startswith("inkling: ")
        return line

    assert "There is no model nowhere: take a name that `inkling model list`" in said(
        "use", "nowhere"
    )
    assert f"There is no {hub.url}/acme/nowhere, or it is private" in said("pull", "acme/nowhere")
    hub.repositories["acme/published"].is_gated = True
    assert "lets in only who has asked for it: ask there" in said("pull", "acme/published")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert "HF_HUB_OFFLINE is set" in said("pull", "acme/exl2")
    monkeypatch.delenv("HF_HUB_OFFLINE")
    (runtime / "file").write_text("")
    monkeypatch.setenv("XDG_DATA_HOME", str(runtime / "file"))
    assert "cannot be written (Not a directory): see to the disk" in said("pull", "acme/exl2")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    assert "http://127.0.0.1:1 cannot be reached" in said("pull", "acme/exl2")


def test_a_file_that_was_changed_on_the_way_is_named(hub: HubServer, model: Model) -> None:
    hub.tamper = lambda content: content.replace(b"{{ messages }}", b"{{ MESSAGES }}")
    pulled = model("pull", "acme/exl2")
    assert pulled.returncode == 1
    assert "inkling: chat_template.jinja came with another hash" in pulled.stderr.splitlines()[-1]
    assert "acme--exl2.part" in model("list").stdout


def test_use_says_what_a_running_engine_and_the_environment_do(
    runtime: Path, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    config(runtime).parent.mkdir(parents=True)
    config(runtime).write_text('# mine\n[engine]\nidle_minutes = 5  # short\nmodel = "stub"\n')
    engine = subprocess.Popen([sys.executable, "-m", "inkling", "engine"])
    wait_for(lambda: engine_pid(runtime) is not None)
    keeps, *_ = model("use", str(demo_folder())).stdout.splitlines()[1:]
    assert keeps == (
        f"The engine that runs keeps its model until it ends (kill {engine.pid} ends it; by itself"
        " it ends after 5 minutes without a request)."
    )
    engine.terminate()
    engine.wait(WAIT_S)
    assert config(runtime).read_text() == (
        f'# mine\n[engine]\nidle_minutes = 5  # short\nmodel = "{demo_folder()}"\n'
    )
    monkeypatch.setenv("INKLING_ENGINE__MODEL", "stub")
    assert "INKLING_ENGINE__MODEL is set here, which outweighs" in model("use", "demo").stdout
    assert "* stub" in model("list").stdout


@pytest.mark.parametrize("name", ["LICENSE", "tokenizer.json"])
def test_the_librarys_own_download_is_content_with_this_hub(
    hub: HubServer, runtime: Path, name: str
) -> None:
    """Else these tests might prove something about a hub that does not exist."""
    code = (
        "from huggingface_hub import hf_hub_download\n"
        f"hf_hub_download('acme/exl2', {name!r}, local_dir={str(runtime / 'by-library')!r})"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    content = hub.repositories["acme/exl2"].files[name]
    assert (runtime / "by-library" / name).read_bytes() == content
