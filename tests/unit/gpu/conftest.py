"""What Triton's interpreter needs. Kernels are imported within functions: not every machine has triton."""

from dataclasses import replace
from typing import Any

import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def _interpreter() -> None:
    """What the interpreter of Triton 3.6 needs."""
    if torch.cuda.is_available():
        return
    import triton.language as tl
    from triton.runtime import interpreter

    patch_tensor = interpreter._patch_lang_tensor

    def patch_tensor_and_index(tensor: Any, scope: Any) -> None:
        """Scalars are arrays of one element, which NumPy 2.4 no longer takes for numbers."""
        patch_tensor(tensor, scope)
        scope.set_attr(tensor, "__index__", lambda self: int(self.handle.data.item()))

    interpreter._patch_lang_tensor = patch_tensor_and_index

    done = set()

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        """A device function. The original patches the language anew for each call of one, which
        takes most of the time; for our own functions the kernel that calls them has done it."""
        namespace = self.fn.__globals__
        if tl not in namespace.values() and namespace["__name__"] not in done:
            interpreter._patch_lang(self.fn)
            done.add(namespace["__name__"])
        return self.rewrite()(*args, **kwargs)

    interpreter.InterpretedFunction.__call__ = call


@pytest.fixture
def wide_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the interpreter run few large blocks of threads: what a block costs, it costs once."""
    if torch.cuda.is_available():
        return
    from inkling.engine.gpu.kernels import tiles

    for name in ("_DENSE", "_EXPERTS"):
        wide = [(most, replace(tile, columns=256, groups=2)) for most, tile in getattr(tiles, name)]
        monkeypatch.setattr(tiles, name, wide)
