"""A hub of this process: the library is pointed at it, and no test waits between tries."""

from collections.abc import Iterator

import huggingface_hub.constants as hub_constants
import pytest
from huggingface_hub import close_session

from inkling.hub import download
from tests.checkpoints import published
from tests.hub_server import HubServer, Repository


@pytest.fixture
def repository() -> Repository:
    return published()


@pytest.fixture
def hub(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    monkeypatch.setattr(download, "PAUSES_S", (0.0, 0.0))
    for name in ("HF_TOKEN", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with HubServer({"acme/tiny": repository}) as hub:
        monkeypatch.setattr(hub_constants, "ENDPOINT", hub.url)
        template = hub.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(hub_constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        yield hub
        close_session()
