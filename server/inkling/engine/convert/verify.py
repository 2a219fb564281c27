"""A converted checkpoint held against its source once more."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from inkling.engine.convert.facts import read_report
from inkling.engine.convert.hashes import hash_files
from inkling.engine.convert.methods import relative_error, to_device
from inkling.engine.convert.output import as_bytes
from inkling.engine.convert.plan import Item, make_plan
from inkling.engine.convert.recipe import Recipe
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

    The source's hashes, those of all that was written, and each matrix decoded again and compared with
    its source. `checking` is told of bytes of the source, `verifying` of weights.

    Raises VerifyError, naming the first file or matrix, when anything differs, CheckpointError for files that
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
        for name, digest in report["files"].items():
            if not (out / name).is_file() or _digest((out / name).read_bytes()) != digest:
                raise VerifyError(f"{out / name} is not what was written: convert again.")
        plan = make_plan(source.names, Recipe(**report["recipe"]))
        done = 0

        def check(item: Item) -> int:
            tensors = {name: files.read(name) for name in plan.names(item)}
            note = report["items"].get(item.name, {})
            if _digest(*map(as_bytes, tensors.values())) != note.get("sha256"):
                raise VerifyError(
                    f"{item.name} is not what was written: the disk is at fault; convert again."
                )
            if item.linear is not None:
                _check_error(source, item.linear, tensors, note["error"], device)
            return item.num_weights

        verifying(done, plan.num_weights)
        for num_weights in in_parallel(check, plan.items):
            done += num_weights
            verifying(done, plan.num_weights)


def _digest(*parts: bytes | memoryview) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def _check_error(
    source: Source,
    linear: Linear,
    tensors: dict[str, Tensor],
    noted: float,
    device: torch.device,
) -> None:
    parts = {name.rsplit(".", 1)[1]: tensor.to(device) for name, tensor in tensors.items()}
    error = relative_error(parts, to_device(source.matrix(linear), device))
    if abs(error - noted) > _TOLERANCE * max(noted, 1e-6):
        raise VerifyError(
            f"{linear.name} is {error:.4g} off its source, but {noted:.4g} was noted: convert again,"
            " and report this."
        )
