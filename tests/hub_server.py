"""A hub on 127.0.0.1: as much of Hugging Face's HTTP surface as fetching a model takes.

Large files are redirected to another host, as the real hub's are. Set `HF_ENDPOINT` to its `url`.
"""

import hashlib
import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote, urlsplit

_INFO = re.compile(r"/api/models/(?P<repo>[^/]+/[^/]+)(/revision/(?P<revision>[^/]+))?")
_FILE = re.compile(r"/(?P<repo>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<name>.+)")
_BLOB = re.compile(r"/blobs/(?P<sha256>[0-9a-f]{64})")
_PIECE = 1 << 14


@dataclass
class Repository:
    """One model: `files` by name. Those of `lfs` names are stored as large files."""

    files: dict[str, bytes]
    lfs: frozenset[str] = frozenset()
    revision: str = "main"
    is_gated: bool = False

    @property
    def commit(self) -> str:
        """Changes with the contents, as git's does."""
        parts = (f"{name} {git_hash(content)}" for name, content in sorted(self.files.items()))
        return hashlib.sha1("\n".join(parts).encode()).hexdigest()

    def siblings(self) -> list[dict[str, Any]]:
        """What the hub tells of files when it is asked for blobs."""
        return [self._sibling(name, content) for name, content in self.files.items()]

    def _sibling(self, name: str, content: bytes) -> dict[str, Any]:
        told = {"rfilename": name, "size": len(content), "blobId": git_hash(content)}
        if name in self.lfs:
            digest = hashlib.sha256(content).hexdigest()
            told["lfs"] = {"sha256": digest, "size": len(content), "pointerSize": 134}
        return told


@dataclass(frozen=True)
class Request:
    """One request that came in. `start` is where its Range begins."""

    method: str
    path: str
    host: str
    start: int | None
    has_token: bool
    user_agent: str


@dataclass
class HubServer:
    """Serves `repositories` while it is entered, and notes what it was asked for.

    `before_piece(path, position)` runs before each piece of a file is sent; it may wait, or raise
    ConnectionError to cut the connection. `tamper` changes what is sent of a file. `refuse` may
    answer a path with a status and the hub's words for it, before anything else is done.
    """

    repositories: dict[str, Repository]
    before_piece: Callable[[str, int], None] = lambda path, position: None
    tamper: Callable[[bytes], bytes] = lambda content: content
    refuse: Callable[[str], tuple[HTTPStatus, str] | None] = lambda path: None
    knows_ranges: bool = True
    requests: list[Request] = field(default_factory=list)
    sent_bytes: int = 0

    def __enter__(self) -> Self:
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def blobs_url(self) -> str:
        """The other host: the same machine by another name."""
        return f"http://localhost:{self.port}"

    def fetched(self) -> list[str]:
        """The paths of files whose contents were asked for."""
        paths = [request.path for request in self.requests if request.method == "GET"]
        return [
            path.split("/resolve/", 1)[1].split("/", 1)[1] for path in paths if "/resolve/" in path
        ]


class _Server(ThreadingHTTPServer):
    def __init__(self, hub: HubServer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.hub = hub


class _Handler(BaseHTTPRequestHandler):
    """Routes: a model's facts, a file by revision and name, a large file by its hash."""

    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each small file waits for an acknowledgement, 40 ms

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, format: str, *arguments: Any) -> None:
        pass

    def _answer(self) -> None:
        hub = self.server.hub
        path = unquote(urlsplit(self.path).path)
        hub.requests.append(
            Request(
                self.command,
                path,
                self.headers["Host"],
                self._start(),
                "Authorization" in self.headers,
                self.headers["User-Agent"],
            )
        )
        if (refused := hub.refuse(path)) is not None:
            self._error(refused[0], words=refused[1])
        elif match := _INFO.fullmatch(path):
            self._info(match["repo"], match["revision"])
        elif match := _FILE.fullmatch(path):
            self._file(match["repo"], match["revision"], match["name"])
        elif match := _BLOB.fullmatch(path):
            self._blob(match["sha256"])
        else:
            self._error(HTTPStatus.NOT_FOUND)

    def _info(self, repo: str, revision: str | None) -> None:
        repository = self._repository(repo, revision)
        if repository is None:
            return
        told = {"id": repo, "sha": repository.commit, "siblings": repository.siblings()}
        self._send_all(json.dumps(told).encode(), {"Content-Type": "application/json"})

    def _file(self, repo: str, revision: str, name: str) -> None:
        repository = self._repository(repo, revision)
        if repository is None:
            return
        content = repository.files.get(name)
        if content is None:
            self._error(HTTPStatus.NOT_FOUND, "EntryNotFound")
        elif repository.is_gated and "Authorization" not in self.headers:
            self._error(HTTPStatus.UNAUTHORIZED, "GatedRepo")
        elif name in repository.lfs:
            digest = hashlib.sha256(content).hexdigest()
            self._headers(
                HTTPStatus.FOUND,
                {
                    "X-Repo-Commit": repository.commit,
                    "X-Linked-Size": str(len(content)),
                    "X-Linked-ETag": f'"{digest}"',
                    "Location": f"{self.server.hub.blobs_url}/blobs/{digest}",
                    "Content-Length": "0",
                },
            )
        else:
            etag = f'"{git_hash(content)}"'
            self._send_content(content, {"X-Repo-Commit": repository.commit, "ETag": etag})

    def _blob(self, sha256: str) -> None:
        contents = (
            content
            for repository in self.server.hub.repositories.values()
            for content in repository.files.values()
        )
        for content in contents:
            if hashlib.sha256(content).hexdigest() == sha256:
                self._send_content(content, {"ETag": f'"{sha256}"'})
                return
        self._error(HTTPStatus.NOT_FOUND)

    def _repository(self, repo: str, revision: str | None) -> Repository | None:
        """The repository, or None after an answer that there is none."""
        repository = self.server.hub.repositories.get(repo)
        if repository is None:
            # Nobody who is not let in learns whether a private one is there.
            self._error(HTTPStatus.UNAUTHORIZED, "RepoNotFound")
        elif revision not in (None, repository.revision, repository.commit):
            self._error(HTTPStatus.NOT_FOUND, "RevisionNotFound")
            return None
        return repository

    def _start(self) -> int | None:
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        return int(match[1]) if match else None

    def _send_content(self, content: bytes, headers: dict[str, str]) -> None:
        start = self._start() if self.server.hub.knows_ranges else None
        end = len(content)
        if start is None:
            self._send_all(content, headers)
        elif start >= end:
            self._error(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
        else:
            span = {"Content-Range": f"bytes {start}-{end - 1}/{end}"}
            self._send_all(content, {**headers, **span}, HTTPStatus.PARTIAL_CONTENT, start)

    def _send_all(
        self,
        content: bytes,
        headers: dict[str, str],
        status: HTTPStatus = HTTPStatus.OK,
        start: int = 0,
    ) -> None:
        hub = self.server.hub
        is_file = "ETag" in headers
        self._headers(status, {**headers, "Content-Length": str(len(content) - start)})
        if self.command == "HEAD":
            return
        sent = hub.tamper(content) if is_file else content
        try:
            for position in range(start, len(content), _PIECE):
                piece = sent[position : position + _PIECE]
                if is_file:
                    hub.before_piece(self.path, position)
                    hub.sent_bytes += len(piece)
                self.wfile.write(piece)
        except ConnectionError:
            self.close_connection = True

    def _error(self, status: HTTPStatus, code: str = "", words: str = "") -> None:
        self._headers(
            status, {"X-Error-Code": code, "X-Error-Message": words, "Content-Length": "0"}
        )

    def _headers(self, status: HTTPStatus, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if value:
                self.send_header(name, value)
        self.end_headers()


def git_hash(content: bytes) -> str:
    """The name that git gives to a file's contents."""
    return hashlib.sha1(b"blob %d\0%s" % (len(content), content)).hexdigest()
