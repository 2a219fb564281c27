"""Why a document is left alone: every silence has a reason the user can ask for."""

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from inkling.core import DocumentSnapshot

if TYPE_CHECKING:
    from inkling.config import Settings

# Files that hold keys and passwords by convention. Their text must not even reach a prompt.
_SECRET_NAMES = frozenset(
    {".dockercfg", ".env", ".envrc", ".git-credentials", ".htpasswd", ".netrc", ".npmrc"}
    | {".pgpass", ".pypirc", "credentials", "credentials.json", "id_dsa", "id_ecdsa", "id_ed25519"}
    | {"id_rsa", "secrets.json", "secrets.toml", "secrets.yaml", "secrets.yml"}
)
_SECRET_STARTS = (".env.", "service-account", "service_account")
_SECRET_ENDINGS = (
    *(".env", ".jks", ".kdbx", ".key", ".keystore", ".p12", ".pem", ".pfx"),
    *(".tfvars", ".tfvars.json"),
)


def is_secret(path: str) -> bool:
    """Whether a file's name says that it holds secrets."""
    name = PurePosixPath(path).name.lower()
    return (
        name in _SECRET_NAMES or name.startswith(_SECRET_STARTS) or name.endswith(_SECRET_ENDINGS)
    )


def reason_for_silence(settings: "Settings", document: DocumentSnapshot) -> str:
    """Why this document gets no completion, "" if it does."""
    if not settings.enabled:
        return "disabled"
    if document.language in settings.disabled_languages:
        return f"disabled for {document.language}"
    if is_secret(document.path):
        return "secret"
    if len(document.text) > settings.max_file_kb * 1024:
        return "file too large"
    return ""
