"""What a repository of the hub holds, and what its refusals mean."""

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from http import HTTPStatus
from typing import Protocol

import httpx2

from inkling.errors import InklingError
from inkling.hub.library import (
    DisabledRepoError,
    GatedRepoError,
    HfApi,
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

TIMEOUT_S = 30.0
# What serving and converting read, and what a user should have beside it. Only files of the top
# folder: gpt-oss has other forms of the same weights in original/ and metal/.
WANTED = (
    *("*.safetensors", "*.safetensors.index.json", "config.json", "generation_config.json"),
    *("tokenizer*", "special_tokens_map.json", "chat_template*"),
    *("LICENSE*", "USAGE_POLICY*", "README*"),
)
_PASSING = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)


class HubError(InklingError):
    """The hub cannot be reached, refuses, or sends something else than it announced.

    `is_passing`: the same request may well succeed a moment later.
    """

    def __init__(self, message: str, *, is_passing: bool = False) -> None:
        super().__init__(message)
        self.is_passing = is_passing


class Hash(Protocol):
    """What hashlib's objects have in common."""

    def update(self, data: bytes, /) -> None: ...
    def hexdigest(self) -> str: ...


@dataclass(frozen=True)
class HubFile:
    """One file: `nbytes` long, with the hash that the hub gives for it."""

    name: str
    nbytes: int
    digest: str
    is_lfs: bool

    def new_hash(self) -> Hash:
        """A hash that comes to `digest` once it has seen the whole file.

        Large files (LFS) have a SHA-256, others git's own: SHA-1 of a header and the file.
        """
        if self.is_lfs:
            return hashlib.sha256()
        return hashlib.sha1(b"blob %d\0" % self.nbytes, usedforsecurity=False)


@dataclass(frozen=True)
class Listing:
    """The files of `repo` at `commit` that are wanted, the smallest first."""

    repo: str
    commit: str
    files: tuple[HubFile, ...]

    @property
    def nbytes(self) -> int:
        return sum(file.nbytes for file in self.files)


def list_files(repo: str, revision: str | None) -> Listing:
    """Ask the hub for the files of a model repository; without a revision, of its main branch.

    Raises HubError, also for a repository that holds no checkpoint of safetensors files.
    """
    with refusals(repo, revision):
        try:
            info = HfApi().model_info(
                repo, revision=revision, files_metadata=True, timeout=TIMEOUT_S
            )
            commit, siblings = info.sha, info.siblings
        except HFValidationError as error:
            raise HubError(
                f"{repo!r} is no name of a repository: give it as in openai/gpt-oss-20b."
            ) from error
        except HfHubHTTPError:
            raise  # one of them is a ValueError too
        except (ValueError, KeyError, TypeError, httpx2.InvalidURL) as error:
            raise HubError(
                f"{HfApi().endpoint} does not answer as the hub does: see to HF_ENDPOINT, and to"
                " proxies that want you to log in."
            ) from error
    files = []
    for sibling in siblings or ():
        if not _is_wanted(sibling.rfilename):
            continue
        digest = sibling.blob_id if sibling.lfs is None else sibling.lfs.sha256
        if digest is None or sibling.size is None:
            raise HubError(
                f"{HfApi().endpoint} gives no hash of {sibling.rfilename}, so that it could not be"
                " verified: unset HF_ENDPOINT, or choose another."
            )
        files.append(HubFile(sibling.rfilename, sibling.size, digest, sibling.lfs is not None))
    names = {file.name for file in files}
    if commit is None or "config.json" not in names or not _has_weights(names):
        raise HubError(
            f"{repo} holds no checkpoint of config.json and .safetensors files: choose gpt-oss as"
            " published (openai/gpt-oss-20b), or in EXL2."
        )
    return Listing(repo, commit, tuple(sorted(files, key=lambda file: (file.nbytes, file.name))))


@contextlib.contextmanager
def refusals(repo: str, revision: str | None = None) -> Iterator[None]:
    """Turn what the library raises into a HubError of one sentence with its cure."""
    try:
        yield
    except OfflineModeIsEnabled as error:
        raise HubError("HF_HUB_OFFLINE is set, which forbids to pull: unset it.") from error
    except HfHubHTTPError as error:
        status = error.response.status_code
        is_passing = status in _PASSING or status >= HTTPStatus.INTERNAL_SERVER_ERROR
        raise HubError(_refusal(error, repo, revision), is_passing=is_passing) from error
    except httpx2.HTTPError as error:
        raise HubError(
            f"{HfApi().endpoint} cannot be reached ({error}): see to the network; the same command"
            " goes on where this one stopped.",
            is_passing=True,
        ) from error


def _refusal(error: HfHubHTTPError, repo: str, revision: str | None) -> str:
    endpoint, status = HfApi().endpoint, error.response.status_code
    page = f"{endpoint}/{repo}"
    if isinstance(error, DisabledRepoError):
        return f"{page} was closed by the hub: choose another repository."
    if isinstance(error, GatedRepoError) or status == HTTPStatus.FORBIDDEN:
        return (
            f"{page} lets in only who has asked for it: ask there, and set HF_TOKEN to a token of"
            " your account that may read it."
        )
    if isinstance(error, RevisionNotFoundError):
        return f"{repo} has no revision {revision}: see {page}/branches, or leave --revision out."
    if isinstance(error, RepositoryNotFoundError):
        return (
            f"There is no {page}, or it is private: check the name, and for a private one set"
            " HF_TOKEN to a token of your account."
        )
    if status == HTTPStatus.UNAUTHORIZED:
        return (
            f"{endpoint} does not know your token: set HF_TOKEN to one that is valid, or unset it."
        )
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return (
            f"{endpoint} asks to wait (429): try again in some minutes, with HF_TOKEN set if you"
            " have an account; the same command goes on where this one stopped."
        )
    return (
        f"{endpoint} answers {status} for {repo}: try again later; the same command goes on where"
        " this one stopped."
    )


def _is_wanted(name: str) -> bool:
    return "/" not in name and any(fnmatchcase(name, pattern) for pattern in WANTED)


def _has_weights(names: set[str]) -> bool:
    return any(name.endswith(".safetensors") for name in names)
