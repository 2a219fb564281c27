"""The tensors of a checkpoint folder by name, over one or several safetensors files."""

import json
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from inkling.errors import CheckpointError

INDEX = "model.safetensors.index.json"
PLAIN_TYPES = (torch.float16, torch.bfloat16, torch.float32)


class TensorFiles:
    """Open safetensors files of one folder. Use as a context manager; tensors outlive it."""

    def __init__(self, folder: Path) -> None:
        """Open the files an index names, else all of the folder.

        Raises CheckpointError for a missing folder or file and for truncated files.
        """
        if not folder.is_dir():
            raise CheckpointError(
                f"There is no folder {folder}: give the folder of an EXL2 checkpoint."
            )
        self._folder = folder
        self._files = ExitStack()
        self._file_of: dict[str, Any] = {}
        self.paths = tuple(_paths(folder))
        self.nbytes = 0  # of all files
        with ExitStack() as opened:
            for path in self.paths:
                self.nbytes += path.stat().st_size
                file = opened.enter_context(_open(path))
                self._file_of.update(dict.fromkeys(file.keys(), file))
            self._files = opened.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._files.close()

    def __contains__(self, name: str) -> bool:
        return name in self._file_of

    def read(self, name: str) -> Tensor:
        """One tensor as stored, on the CPU, read from the file where it is looked at.

        Raises CheckpointError when it is missing.
        """
        file = self._file_of.get(name)
        if file is None:
            raise CheckpointError(
                f"The checkpoint in {self._folder} lacks the tensor {name}: copy or convert it"
                " again."
            )
        tensor: Tensor = file.get_tensor(name)
        return tensor

    def read_plain(self, name: str, shape: tuple[int, ...]) -> Tensor:
        """A floating-point tensor of a given shape, as stored.

        Raises CheckpointError when it is missing, of another type or shape, or not finite.
        """
        tensor = self.read(name)
        if tensor.dtype not in PLAIN_TYPES or tuple(tensor.shape) != shape:
            raise CheckpointError(
                f"The tensor {name} in {self._folder} should be floating-point {list(shape)} but"
                f" is {str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}: take the"
                " config.json that belongs to this checkpoint."
            )
        if not is_finite(tensor):
            raise CheckpointError(
                f"The tensor {name} in {self._folder} holds NaN or infinity: copy or convert the"
                " checkpoint again."
            )
        return tensor


def is_finite(tensor: Tensor) -> bool:
    """Whether no value is NaN or infinite. Fast for contiguous tensors; takes no memory."""
    # Not isfinite of each: on a CPU that takes 40 times as long in fp16, and makes copies.
    return all(bool(end.isfinite()) for end in torch.aminmax(tensor))


def _paths(folder: Path) -> list[Path]:
    index = folder / INDEX
    if index.is_file():
        try:
            names = sorted(
                set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
            )
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise CheckpointError(
                f"{index} is no index of safetensors files: copy it again."
            ) from error
        for name in names:
            if not (folder / name).is_file():
                raise CheckpointError(
                    f"{folder} lacks the file {name} that its index names: copy it as well."
                )
        return [folder / name for name in names]
    paths = sorted(folder.glob("*.safetensors"))
    if not paths:
        raise CheckpointError(
            f"There is no .safetensors file in {folder}: give the folder of an EXL2 checkpoint."
        )
    return paths


def _open(path: Path) -> Any:
    try:
        return safe_open(path, framework="pt")
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path} is truncated or no safetensors file ({error}): copy it again."
        ) from error
