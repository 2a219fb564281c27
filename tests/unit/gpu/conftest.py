"""Without a GPU the Triton kernels run in Triton's interpreter.

It must be chosen before triton is imported, so tests import kernels within functions only.
"""

import os
from typing import Any

import pytest
import torch

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"


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
