import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from inkling.errors import EngineUnavailable
from inkling.runtime import (
    MAX_SOCKET_PATH,
    Address,
    is_running,
    lock,
    read_address,
    runtime_folder,
    write_address,
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "r"
    monkeypatch.setenv("INKLING_RUNTIME_DIR", str(folder))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    return folder


def test_the_folder_is_its_owners_alone(folder: Path) -> None:
    runtime_folder()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    folder.chmod(0o777)
    with pytest.raises(EngineUnavailable, match="can be written by others"):
        runtime_folder()


def test_without_a_session_folder_it_lies_in_the_temporary_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("INKLING_RUNTIME_DIR")
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    assert runtime_folder() == tmp_path / f"inkling-{os.getuid()}"


def test_a_path_too_long_for_a_socket_is_replaced_by_one_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/tmp")
    folders = set()
    for name in ("a", "b"):
        monkeypatch.setenv("INKLING_RUNTIME_DIR", str(tmp_path / (name * 120)))
        folder = runtime_folder()
        assert len(os.fsencode(folder / "engine.sock")) <= MAX_SOCKET_PATH
        folders.add(folder)
        folder.rmdir()
    assert len(folders) == 2


def test_an_address_counts_only_while_its_engine_lives() -> None:
    address = Address(pid=os.getpid(), socket="/x/engine.sock")
    write_address(address)
    assert read_address() is None
    with lock("engine.lock") as is_ours:
        assert is_ours
        assert is_running()
        assert read_address() == address
        assert stat.S_IMODE((runtime_folder() / "engine.json").stat().st_mode) == 0o600
    assert read_address() is None


def test_the_address_of_a_killed_engine_is_not_its_successors() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    with lock("engine.lock"):
        write_address(Address(pid=ended.pid, socket="/x/engine.sock"))
        assert read_address() is None


def test_looking_does_not_hinder_looking_but_a_lock_is_had_once() -> None:
    with lock("engine.lock", is_shared=True) as first, lock("engine.lock", is_shared=True) as other:
        assert first
        assert other
        with lock("engine.lock") as is_ours:
            assert not is_ours


def test_a_broken_address_file_is_no_engine() -> None:
    with lock("engine.lock"):
        (runtime_folder() / "engine.json").write_text("{")
        assert read_address() is None


def test_another_users_folder_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its owner could put a socket of theirs where the engine's should be."""
    runtime_folder()
    owner = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: owner + 1)
    with pytest.raises(EngineUnavailable, match="set INKLING_RUNTIME_DIR to a folder of yours"):
        runtime_folder()


def test_a_folder_that_cannot_be_made_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("INKLING_RUNTIME_DIR", str(tmp_path / "file" / "folder"))
    with pytest.raises(EngineUnavailable, match="cannot be used"):
        runtime_folder()
