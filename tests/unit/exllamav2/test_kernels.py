"""How exllamav2 is had, and what is said where it is not."""

import sys
import types

import pytest
import torch

from inkling.engine.exllamav2.kernels import load_kernels
from inkling.errors import NotInstalled
from tests.unit.exllamav2.double import Exllamav2Double


def test_its_functions_are_taken_and_its_threads_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    double = Exllamav2Double().kernels

    class Package(types.ModuleType):
        """Sets one thread when it is imported, as exllamav2 does."""

        @property
        def ext(self) -> types.SimpleNamespace:
            torch.set_num_threads(1)
            return types.SimpleNamespace(
                make_q_matrix=double.make_q_matrix, none_tensor=double.no_tensor, ext_c=double
            )

    monkeypatch.setitem(sys.modules, "exllamav2", Package("exllamav2"))
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        assert load_kernels() == double
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "exllamav2", None)
    with pytest.raises(
        NotInstalled, match=r"^exllamav2 is not installed, .*: pip install exllamav2, or"
    ):
        load_kernels()


def test_a_build_that_fails_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    class Package(types.ModuleType):
        @property
        def ext(self) -> None:
            raise RuntimeError("Error building extension 'exllamav2_ext'\n[1/47] nvcc ...")

    monkeypatch.setitem(sys.modules, "exllamav2", Package("exllamav2"))
    with pytest.raises(NotInstalled) as caught:
        load_kernels()
    said = str(caught.value)
    assert said.startswith("exllamav2 does not load (Error building extension 'exllamav2_ext'): it")
    assert said.endswith('or set engine.backend to "fused".') and "\n" not in said
