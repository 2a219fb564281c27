import pytest

from inkling.silence import is_secret


@pytest.mark.parametrize(
    "path",
    [".env", "app/.env.local", "prod.env", ".envrc", "keys/id_ed25519", "tls/server.pem"]
    + ["credentials.json", "service-account-prod.json", "infra/main.tfvars", "SECRETS.yaml"],
)
def test_files_that_hold_secrets_by_convention(path: str) -> None:
    assert is_secret(path)


@pytest.mark.parametrize("path", ["environment.py", "keyboard.ts", "src/credentials.py", "a.py"])
def test_source_files_with_such_words_in_their_names_do_not(path: str) -> None:
    assert not is_secret(path)
