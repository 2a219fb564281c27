"""`inkling convert` as a person runs it: killed, out of space, and served by the engine in the end."""

import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from inkling.engine.convert.output import JOURNAL
from tests.e2e.test_cli import inkling
from tests.unit.convert.conversion import publish

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

NUM_KILLS = 10


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Large enough that a conversion can be stopped in the middle: 200 matrices."""
    return publish(
        tmp_path_factory.mktemp("published") / "gpt-oss",
        num_hidden_layers=6,
        layer_types=["sliding_attention", "full_attention"] * 3,
        num_local_experts=16,
        hidden_size=512,
        intermediate_size=512,
    )


@pytest.fixture(scope="module")
def whole(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Converted without being stopped."""
    out = tmp_path_factory.mktemp("whole") / "model"
    ran = inkling("convert", str(source), str(out), cwd=source)
    assert ran.returncode == 0, ran.stderr
    return out


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_killed_at_ten_random_moments_it_comes_to_the_same_bytes(
    source: Path, whole: Path, tmp_path: Path
) -> None:
    out = tmp_path / "model"
    journal = tmp_path / "model.part" / JOURNAL
    moments = random.Random(7)
    reached = []
    for _ in range(NUM_KILLS):
        before = journal.stat().st_size if journal.exists() else 0
        process = subprocess.Popen(
            [sys.executable, "-m", "inkling", "convert", str(source), str(out)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        # Not before it has written something new, then anywhere within a few matrices.
        while process.poll() is None:
            if journal.exists() and journal.stat().st_size > before:
                break
            time.sleep(0.001)
        time.sleep(moments.random() * 0.05)
        process.kill()
        process.wait()
        assert not out.exists(), "it was done before it could be killed"
        reached.append(journal.stat().st_size)
    assert reached == sorted(reached), "what was done is not done again"
    ran = inkling("convert", str(source), str(out), cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert files_of(out) == files_of(whole)
    assert not journal.parent.exists()


def test_the_engine_serves_it(runtime: Path, whole: Path, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("import os\n\nx = os.\n")
    config = runtime / "config" / "inkling" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text(f'[engine]\nmodel = "{whole}"\ndevice = "cpu"\n')
    ran = inkling("complete", "a.py:3", cwd=tmp_path)
    assert f"{whole.name} (EXL2) on cpu" in ran.stderr  # whatever random weights have to say


def test_verify_and_inspect(source: Path, whole: Path) -> None:
    ran = inkling("convert", str(source), str(whole), "--verify", cwd=source)
    assert ran.returncode == 0, ran.stderr
    assert "holds what its report says" in ran.stdout
    ran = inkling("inspect", str(whole), "--tensors", "--context", "1024", cwd=source)
    assert ran.returncode == 0, ran.stderr
    assert "model.layers.5.mlp.experts.15.down_proj" in ran.stdout
    assert "KV cache of 1,024 tokens" in ran.stdout
    assert "fits cards of 8 GB and more" in ran.stdout


def test_each_fault_is_one_line_and_no_half_made_model(source: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(source, damaged)
    shard = min(damaged.glob("*.safetensors"))
    shard.write_bytes(shard.read_bytes()[:-1000])
    faults = {
        "truncated": ("convert", str(damaged), str(tmp_path / "out")),
        "There is no recipe": ("convert", str(source), str(tmp_path / "out"), "--recipe", "best"),
        "on a GPU": ("convert", str(source), str(tmp_path / "out"), "--recipe", "small"),
        "There is no folder": ("inspect", str(tmp_path / "none")),
        "convert it first": ("inspect", str(source)),
        "is there already": ("convert", str(source), str(source)),
    }
    for words, arguments in faults.items():
        ran = inkling(*arguments, cwd=tmp_path)
        assert ran.returncode == 1
        last = ran.stderr.strip().splitlines()[-1]
        assert last.startswith("inkling: ")
        assert words in last
        assert "Traceback" not in ran.stderr
    assert not list(tmp_path.glob("out*"))


def mounted(options: str, command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command with a file system of its own at `folder`."""
    script = f'mount -t tmpfs -o {options} tmpfs "$0" && exec "$@"'
    return subprocess.run(
        ["unshare", "--mount", "--map-root-user", "sh", "-c", script, str(folder), *command],
        capture_output=True,
        check=False,
        text=True,
    )


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ("size=16m", r"its disk has 0.0 GB free: make space"),
        ("ro", r"cannot be written (Read-only file system)"),
    ],
)
def test_a_full_disk_and_a_read_only_folder(
    source: Path, tmp_path: Path, options: str, sentence: str
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if shutil.which("unshare") is None or mounted(options, ["true"], disk).returncode:
        pytest.skip("no file system can be mounted here")
    command = [sys.executable, "-m", "inkling", "convert", str(source), str(disk / "model")]
    ran = mounted(options, command, disk)
    assert ran.returncode == 1
    assert sentence in ran.stderr.strip().splitlines()[-1]
    assert "Traceback" not in ran.stderr
