"""Pulling, in the same process as the hub: what is fetched, gone on with, checked and refused."""

import hashlib
import json
import shutil
from http import HTTPStatus
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inkling.errors import CheckpointError
from inkling.hub.pull import NOTE, PullError, pull
from inkling.hub.remote import HubError, HubFile, Listing, list_files
from tests.checkpoints import SHARD_BYTES, WANTED, published
from tests.hub_server import HubServer, Repository, git_hash

SHARD = "model-00001-of-00002.safetensors"


class Pulled(NamedTuple):
    fetched: int
    checking: list[tuple[float, float]]
    pulling: list[tuple[float, float]]


def run(folder: Path, listing: Listing | None = None) -> Pulled:
    checking: list[tuple[float, float]] = []
    pulling: list[tuple[float, float]] = []
    fetched = pull(
        listing or list_files("acme/tiny", None),
        folder,
        checking=lambda *bytes_: checking.append(bytes_),
        pulling=lambda *bytes_: pulling.append(bytes_),
    )
    return Pulled(fetched, checking, pulling)


def contents(folder: Path) -> dict[str, bytes]:
    """All files but the note of what they are."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != NOTE}


def wanted(repository: Repository) -> dict[str, bytes]:
    return {name: repository.files[name] for name in WANTED}


def draft(folder: Path, repository: Repository, name: str) -> Path:
    """Where a begun file lies until it is whole."""
    content = repository.files[name]
    is_lfs = name in repository.lfs
    digest = hashlib.sha256(content).hexdigest() if is_lfs else git_hash(content)
    part = folder.with_name(f"{folder.name}.part")
    part.mkdir(exist_ok=True)
    (part / NOTE).touch()
    return part / f"{name}.{digest[:16]}.part"


def test_what_serving_needs_is_fetched_and_nothing_else(
    hub: HubServer, repository: Repository, tmp_path: Path
) -> None:
    pulled = run(tmp_path / "m")
    assert contents(tmp_path / "m") == wanted(repository)
    assert sorted(hub.fetched()) == sorted(WANTED)
    assert list(tmp_path.iterdir()) == [tmp_path / "m"]
    total = sum(map(len, wanted(repository).values()))
    assert pulled.fetched == hub.sent_bytes == total
    assert pulled.checking == []
    note = json.loads((tmp_path / "m" / NOTE).read_text())
    assert note == {"repo": "acme/tiny", "commit": repository.commit}
    assert pulled.pulling[-1] == (total, total)


def test_requests_say_no_more_than_they_must(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token goes to the hub, never to the host it redirects to."""
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    run(tmp_path / "m")
    at_hub = [request for request in hub.requests if request.host == hub.url.split("//")[1]]
    elsewhere = [request for request in hub.requests if request not in at_hub]
    assert {request.path.split("/")[1] for request in elsewhere} == {"blobs"}
    assert all(request.has_token for request in at_hub)
    assert not any(request.has_token for request in elsewhere)
    assert {request.method for request in hub.requests} == {"GET"}


def test_a_broken_connection_is_gone_on_with(
    hub: HubServer, repository: Repository, tmp_path: Path
) -> None:
    cuts = [50_000, 120_000, 260_000]

    def cut(path: str, position: int) -> None:
        if "blobs" in path and cuts and position >= cuts[0]:
            cuts.pop(0)
            raise ConnectionError

    hub.before_piece = cut
    pulled = run(tmp_path / "m")
    assert cuts == []
    assert contents(tmp_path / "m") == wanted(repository)
    assert hub.sent_bytes == pulled.fetched
    assert pulled.pulling[-1] == (pulled.fetched, pulled.fetched)


def test_a_hub_that_sends_no_parts_is_asked_for_the_whole(
    hub: HubServer, repository: Repository, tmp_path: Path
) -> None:
    hub.knows_ranges = False
    begun = draft(tmp_path / "m", repository, SHARD)
    begun.write_bytes(repository.files[SHARD][:1000])
    pulled = run(tmp_path / "m")
    assert contents(tmp_path / "m") == wanted(repository)
    assert pulled.pulling[-1][0] == pulled.pulling[-1][1]


def test_a_hub_that_stays_away_is_one_sentence_and_costs_nothing(
    hub: HubServer, repository: Repository, tmp_path: Path
) -> None:
    def cut(path: str, position: int) -> None:
        if position >= 100_000:
            raise ConnectionError

    hub.before_piece = cut
    with pytest.raises(HubError, match="cannot be reached .* goes on where this one stopped"):
        run(tmp_path / "m")
    assert not (tmp_path / "m").exists()
    before = hub.sent_bytes
    hub.before_piece = lambda path, position: None
    pulled = run(tmp_path / "m")
    assert hub.sent_bytes - before == pulled.fetched
    assert hub.sent_bytes == sum(map(len, wanted(repository).values()))
    assert contents(tmp_path / "m") == wanted(repository)


def test_a_wrong_hash_is_one_sentence_and_the_file_is_removed(
    hub: HubServer, repository: Repository, tmp_path: Path
) -> None:
    hub.tamper = lambda content: content[:-1] + b"!" if len(content) == SHARD_BYTES else content
    with pytest.raises(HubError, match=r"^model-00000\S* came with another hash .* removed"):
        run(tmp_path / "m")
    left = {path.name for path in (tmp_path / "m.part").iterdir()}
    assert not any("model-00000" in name for name in left)
    assert "config.json" in left
    hub.tamper = lambda content: content
    run(tmp_path / "m")
    assert contents(tmp_path / "m") == wanted(repository)


def test_small_files_are_checked_as_git_hashes_them(hub: HubServer, tmp_path: Path) -> None:
    hub.tamper = lambda content: content.replace(b"Apache", b"aPACHE")
    with pytest.raises(HubError, match=r"^LICENSE came with another hash"):
        run(tmp_path / "m")


def test_again_it_checks_and_fetches_nothing(
    hub: HubServer, repository: Repository, tmp_path: Path
) -> None:
    first = run(tmp_path / "m")
    again = run(tmp_path / "m")
    assert again.fetched == 0
    assert again.checking[-1] == (first.fetched, first.fetched)
    assert hub.sent_bytes == first.fetched
    assert contents(tmp_path / "m") == wanted(repository)


def test_a_damaged_file_is_fetched_again(
    hub: HubServer, repository: Repository, tmp_path: Path
) -> None:
    run(tmp_path / "m")
    (tmp_path / "m" / SHARD).write_bytes(bytes(SHARD_BYTES))
    assert run(tmp_path / "m").fetched == SHARD_BYTES
    assert contents(tmp_path / "m") == wanted(repository)


def test_a_newer_revision_costs_what_is_new_and_leaves_the_old_one_until_then(
    hub: HubServer, repository: Repository, tmp_path: Path
) -> None:
    run(tmp_path / "m")
    older = contents(tmp_path / "m")
    repository.files[SHARD] = bytes(SHARD_BYTES)
    repository.files["LICENSE"] = b"MIT\n"

    def cut(path: str, position: int) -> None:
        if position >= 100_000:
            raise ConnectionError

    hub.before_piece = cut
    with pytest.raises(HubError, match="cannot be reached"):
        run(tmp_path / "m")
    assert contents(tmp_path / "m") == older
    hub.before_piece = lambda path, position: None
    run(tmp_path / "m")
    assert contents(tmp_path / "m") == wanted(repository)
    assert hub.sent_bytes == sum(map(len, older.values())) + SHARD_BYTES + len(b"MIT\n")
    assert list(tmp_path.iterdir()) == [tmp_path / "m"]


def test_another_revisions_beginnings_are_not_gone_on_with(
    hub: HubServer, repository: Repository, tmp_path: Path
) -> None:
    older = draft(tmp_path / "m", repository, SHARD)
    older.write_bytes(repository.files[SHARD][:70_000])
    repository.files[SHARD] = bytes(SHARD_BYTES)
    run(tmp_path / "m")
    assert contents(tmp_path / "m") == wanted(repository)


def test_another_architecture_is_refused_before_its_weights_come(
    hub: HubServer, tmp_path: Path
) -> None:
    hub.repositories["acme/tiny"] = published(
        architectures=["LlamaForCausalLM"], model_type="llama"
    )
    with pytest.raises(CheckpointError, match="describes LlamaForCausalLM, but only gpt-oss"):
        run(tmp_path / "m")
    assert not any("blobs" in request.path for request in hub.requests)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("revision", "repo", "sentence"),
    [
        (None, "acme/nowhere", "There is no http.*/acme/nowhere, or it is private: check the name"),
        ("v9", "acme/tiny", "acme/tiny has no revision v9: see http.*/acme/tiny/branches"),
        (None, "a/b/c", "'a/b/c' is no name of a repository"),
        (None, "acme/empty", "acme/empty holds no checkpoint of config.json and .safetensors"),
    ],
)
def test_what_is_not_there_is_one_sentence(
    hub: HubServer, revision: str | None, repo: str, sentence: str
) -> None:
    hub.repositories["acme/empty"] = Repository({"config.json": b"{}", "tiny.gguf": b"."})
    with pytest.raises(HubError, match=sentence) as raised:
        list_files(repo, revision)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("status", "words", "sentence"),
    [
        (
            HTTPStatus.FORBIDDEN,
            "",
            "lets in only who has asked for it: ask there, and set HF_TOKEN",
        ),
        (
            HTTPStatus.FORBIDDEN,
            "Access to this resource is disabled.",
            "/acme/tiny was closed by the hub: choose another repository",
        ),
        (
            HTTPStatus.UNAUTHORIZED,
            "Invalid credentials in Authorization header",
            "does not know your token: set HF_TOKEN to one that is valid, or unset it",
        ),
        (HTTPStatus.TOO_MANY_REQUESTS, "", "asks to wait .429.: try again in some minutes"),
        (HTTPStatus.BAD_GATEWAY, "", "answers 502 for acme/tiny: try again later"),
        (HTTPStatus.BAD_REQUEST, "", "answers 400 for acme/tiny"),
        (HTTPStatus.NO_CONTENT, "", "does not answer as the hub does: see to HF_ENDPOINT"),
    ],
)
def test_what_the_hub_answers_is_one_sentence(
    hub: HubServer, status: HTTPStatus, words: str, sentence: str
) -> None:
    hub.refuse = lambda path: (status, words)
    with pytest.raises(HubError, match=sentence) as raised:
        list_files("acme/tiny", None)
    assert "\n" not in str(raised.value)


def test_a_gated_file_is_one_sentence(
    hub: HubServer, repository: Repository, tmp_path: Path
) -> None:
    """The hub lists a gated repository to anyone; only its files are kept back."""
    repository.is_gated = True
    with pytest.raises(HubError, match=r"/acme/tiny lets in only who has asked for it"):
        run(tmp_path / "m")


def test_a_hub_in_trouble_is_asked_again(
    hub: HubServer, repository: Repository, tmp_path: Path
) -> None:
    trouble = [HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS]
    hub.refuse = lambda path: (trouble.pop(), "") if trouble and "blobs" in path else None
    run(tmp_path / "m")
    assert contents(tmp_path / "m") == wanted(repository)


def test_too_little_space_is_said_before_anything_is_fetched(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=100_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    listing = list_files("acme/tiny", None)
    large = HubFile("model.safetensors", 13_800_000_000, "0" * 64, is_lfs=True)
    with pytest.raises(PullError, match=r"needs 13.8 GB more but its disk has 0.1 GB free: make"):
        run(tmp_path / "m", Listing("acme/tiny", listing.commit, (*listing.files, large)))
    assert hub.sent_bytes == 0


def test_a_folder_that_cannot_be_written_is_one_sentence(hub: HubServer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PullError, match=r"file/m\S* cannot be written .Not a directory.: see to"):
        run(tmp_path / "file" / "m")


@pytest.mark.parametrize("name", ["m", "m.part"])
def test_what_no_pull_made_is_left_alone(hub: HubServer, tmp_path: Path, name: str) -> None:
    """Such as a conversion that took days, finished or not."""
    (tmp_path / name).mkdir()
    (tmp_path / name / "model.safetensors").write_bytes(b"mine")
    with pytest.raises(PullError, match=rf"/{name} is there, but no pull made it: rename it"):
        run(tmp_path / "m")
    assert contents(tmp_path / name) == {"model.safetensors": b"mine"}
    assert hub.sent_bytes == 0


def test_two_pulls_of_one_model_do_not_mix(
    hub: HubServer, repository: Repository, tmp_path: Path
) -> None:
    def pull_too(path: str, position: int) -> None:
        hub.before_piece = lambda path, position: None
        with pytest.raises(PullError, match=r"Another pull writes \S*m.part: wait for it"):
            run(tmp_path / "m")

    hub.before_piece = pull_too
    run(tmp_path / "m")
    assert contents(tmp_path / "m") == wanted(repository)


STATES = ("absent", "begun", "begun wrongly", "drafted", "whole", "wrong", "too long")


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    states=st.dictionaries(
        st.sampled_from(sorted(WANTED)), st.tuples(st.sampled_from(STATES), st.integers(0))
    )
)
def test_whatever_a_killed_pull_left_no_wrong_file_gets_its_name(
    hub: HubServer,
    repository: Repository,
    tmp_path_factory: pytest.TempPathFactory,
    states: dict[str, tuple[str, int]],
) -> None:
    folder = tmp_path_factory.mktemp("models") / "m"
    for name, (state, cut) in states.items():
        content = repository.files[name]
        begun = draft(folder, repository, name)
        length = cut % len(content)
        match state:
            case "begun":
                begun.write_bytes(content[:length])
            case "begun wrongly":
                begun.write_bytes(bytes([content[0] ^ 1]) + content[1 : length + 1])
            case "drafted":
                begun.write_bytes(content)
            case "whole":
                (begun.parent / name).write_bytes(content)
            case "wrong":
                (begun.parent / name).write_bytes(bytes([content[0] ^ 1]) + content[1:])
            case "too long":
                begun.write_bytes(content + b"!")
    num_wrong = sum(state == "begun wrongly" for state, cut in states.values())
    for _ in range(num_wrong):
        with pytest.raises(HubError, match="came with another hash"):
            run(folder)
        assert not folder.exists()
    run(folder)
    assert contents(folder) == wanted(repository)
