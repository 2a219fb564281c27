"""The extension as a package: what the compiler says of it, and what goes into it."""

import zipfile

import pytest

from tests.editors.code_server import packaged, run_npm

pytestmark = [pytest.mark.editor, pytest.mark.timeout(300)]


def test_it_keeps_to_the_oldest_api_that_it_declares_and_its_own_tests_pass() -> None:
    # The workbench of the tests gives every extension every proposed API: only the compiler can tell.
    run_npm("test")


def test_the_package_is_small_and_holds_no_sources() -> None:
    package = packaged()
    assert package.stat().st_size <= 1_000_000
    names = zipfile.ZipFile(package).namelist()
    assert "extension/dist/extension.js" in names
    assert not [name for name in names if "node_modules" in name or name.endswith(".ts")]
