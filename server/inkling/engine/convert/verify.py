"""A converted checkpoint held against its source once more."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from inkling.engine.convert.facts import matrices, read_report
from inkling.engine.convert.hashes import hash_files
from inkling.engine.convert.methods import relative_error, to_device
from inkling.engine.convert.output import as_bytes
from inkling.engine.convert.plan import PARTS
from inkling.engine.convert.source import Source
from inkling.engine.convert.workers import in_parallel
from inkling.engine.exl2.names import Linear
from inkling.engine.exl2.tensors import TensorFiles
from inkling.errors import InklingError

# Errors are noted with four digits; another device sums in another order.
_TOLERANCE = 1e-3


class VerifyError(InklingError):
    """A converted checkpoint is not what its report says."""


def verify(
    folder: Path,
    out: Path,
    device: torch.device,
    *,
    checking: Callable[[float, float], None],
    verifying: Callable[[float, float], None],
) -> None:
    """Check `out` against the published checkpoint in `folder` that it was made from.

    The source's hashes, the hash of each matrix written, and each matrix decoded again and compared
    with its source. `checking` is told of bytes of the source, `verifying` of weights.

    Raises VerifyError, naming the first matrix, when anything differs, CheckpointError for files that
    cannot be used.
    """
    report = read_report(out)
    if not report:
        raise VerifyError(
            f"{out} has no report of a conversion by Inkling: convert {folder} again."
        )
    with Source(folder) as source, TensorFiles(out) as files:
        if hash_files(source.paths, checking) != report["source"]:
            raise VerifyError(
                f"{out} was made from other files than {folder} holds: give the folder it was made from."
            )
        todo = [linear for _, linear in matrices(source.names)]
        total = sum(map(_num_weights, todo))

        def check(linear: Linear) -> int:
            _check(source, files, linear, report["items"][linear.name], device)
            return _num_weights(linear)

        done = 0
        verifying(done, total)
        for num_weights in in_parallel(check, todo):
            done += num_weights
            verifying(done, total)


def _num_weights(linear: Linear) -> int:
    return linear.in_features * linear.out_features


def _check(
    source: Source, files: TensorFiles, linear: Linear, note: dict[str, Any], device: torch.device
) -> None:
    names = [f"{linear.name}.{part}" for part in PARTS]
    tensors = {name: files.read(name) for name in names if name in files}
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(as_bytes(tensors[name]))
    if digest.hexdigest() != note["sha256"]:
        raise VerifyError(
            f"{linear.name} is not what was written: the disk is at fault; convert again."
        )
    parts = {name.rsplit(".", 1)[1]: tensor.to(device) for name, tensor in tensors.items()}
    error = relative_error(parts, to_device(source.matrix(linear), device))
    if abs(error - note["error"]) > _TOLERANCE * max(note["error"], 1e-6):
        raise VerifyError(
            f"{linear.name} is {error:.4g} off its source, but {note['error']:.4g} was noted: convert"
            " again, and report this."
        )
