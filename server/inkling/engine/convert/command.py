"""`inkling convert` and `inkling inspect`, as the terminal shows them."""

import shlex
import sys
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import torch

from inkling.engine.budget import PAGE_LEN
from inkling.engine.convert.facts import Fact, read_facts, read_report
from inkling.engine.convert.recipe import load_recipe
from inkling.engine.convert.run import Calibration, convert
from inkling.engine.convert.verify import VerifyError, verify
from inkling.engine.gpu.memory import GIB, Need, needed
from inkling.errors import InklingError
from inkling.progress import Progress

# Memory of cards as sold, in GiB, and the share of it that a driver leaves to programs.
_CARDS = (8, 10, 12, 16, 24, 32, 48, 80)
_USABLE = 0.97


class NoDevice(InklingError):
    """The GPU that was asked for is not there."""


def run_convert(
    folder: Path,
    out: Path,
    recipe_name: str | None,
    device_name: str,
    text: Path | None,
    *,
    is_verified: bool,
) -> int:
    """Convert, unless `is_verified` and `out` is there already; then verify if asked to.

    `recipe_name` None: balanced, or whatever an `out` that is there was made by. `text`: source files
    to calibrate on. Returns 130 when interrupted.
    """
    device = _device(device_name)
    is_there = is_verified and (out / "config.json").is_file()
    if not is_there:
        recipe = load_recipe(recipe_name or "balanced")
        print(f"{folder} → {out}, recipe {recipe.name} ({recipe.description}), on {device.type}")
        checking, converting = _bytes("checking  "), _weights("converting")
        try:
            convert(
                folder,
                out,
                recipe,
                device,
                Calibration(text),
                checking=checking,
                converting=converting,
            )
        except KeyboardInterrupt:
            print("\ninkling: stopped; the same command goes on from here.", file=sys.stderr)
            return 130
        finally:
            checking.close()
            converting.close()
    if is_verified:
        made_by = read_report(out).get("recipe", {}).get("name")
        if recipe_name is not None and load_recipe(recipe_name).name != made_by:
            raise VerifyError(f"{out} was made by the recipe {made_by}: leave --recipe out.")
        checking, verifying = _bytes("checking  "), _weights("verifying ")
        try:
            verify(folder, out, device, checking=checking, verifying=verifying)
        finally:
            checking.close()
            verifying.close()
        print(f"{out} holds what its report says, and decodes to it.")
    _print_kinds(read_facts(out))
    print(f"choose it: inkling model use {shlex.quote(str(out.resolve()))}")
    return 0


def run_inspect(folder: Path, context_len: int, *, all_tensors: bool) -> int:
    """Print what a checkpoint holds, what it takes of a GPU, and which cards have that."""
    facts = read_facts(folder)
    recipe = read_report(folder).get("recipe", {}).get("name")
    print(f"{folder}{f', recipe {recipe}' if recipe else ''}")
    if all_tensors:
        _print_tensors(facts)
    _print_kinds(facts)
    _print_need(needed(folder, context_len, PAGE_LEN), context_len)
    return 0


def _print_kinds(facts: Sequence[Fact]) -> None:
    print(f"\n{'':<10} {'stored as':<18} {'bits/weight':>11} {'GB':>7} {'error':>8} {'worst':>8}")
    for kind, same in groupby(sorted(facts, key=_kind_order), key=lambda fact: fact.kind):
        of_kind = list(same)
        weights = sum(fact.num_weights for fact in of_kind)
        nbytes = sum(fact.nbytes for fact in of_kind)
        forms = sorted({fact.form for fact in of_kind})
        errors = [fact.error for fact in of_kind if fact.error is not None]
        print(
            f"{kind:<10} {', '.join(forms):<18} {8 * nbytes / weights:>11.2f} {nbytes / 1e9:>7.2f}"
            f" {_percent(sum(errors) / len(errors) if errors else None)}"
            f" {_percent(max(errors, default=None))}{_inexact(of_kind)}"
        )
    weights, nbytes = sum(f.num_weights for f in facts), sum(f.nbytes for f in facts)
    print(f"{'all':<10} {'':<18} {8 * nbytes / weights:>11.2f} {nbytes / 1e9:>7.2f}\n")


def _kind_order(fact: Fact) -> int:
    return ("embedding", "attention", "gate_up", "down", "head").index(fact.kind)


def _print_tensors(facts: Sequence[Fact]) -> None:
    width = max(len(fact.name) for fact in facts)
    for fact in facts:
        print(
            f"{fact.name:<{width}} {fact.form:<18} {8 * fact.nbytes / fact.num_weights:>6.2f} bits"
            f" {fact.nbytes / 1e6:>9.2f} MB {_percent(fact.error)}{_inexact([fact])}"
        )


def _inexact(facts: Sequence[Fact]) -> str:
    """How many blocks an exact method could not keep."""
    blocks = sum(fact.blocks or 0 for fact in facts)
    inexact = sum(fact.inexact_blocks or 0 for fact in facts)
    if not blocks:
        return ""
    return f"   {inexact:,} of {blocks:,} blocks not exact" if inexact else "   all blocks exact"


def _percent(error: float | None) -> str:
    return f"{'–':>8}" if error is None else f"{100 * error:>6.2f} %"


def _print_need(need: Need, context_len: int) -> None:
    print(
        f"video memory {need.total / GIB:.1f} GiB: weights {need.weights / GIB:.1f}, KV cache of"
        f" {context_len:,} tokens {need.kv / GIB:.1f}, workspace {need.workspace / GIB:.1f}"
    )
    fitting = [card for card in _CARDS if card * _USABLE * GIB >= need.total]
    if not fitting:
        print(f"fits no card of up to {_CARDS[-1]} GB")
        return
    spare = fitting[0] * _USABLE - need.total / GIB
    print(f"fits cards of {fitting[0]} GB and more ({spare:.1f} GiB to spare)")


def _device(name: str) -> torch.device:
    has_gpu = torch.cuda.is_available()
    if name == "cuda" and not has_gpu:
        raise NoDevice(
            "There is no GPU that torch can use: leave --device out, or install a CUDA build of torch."
        )
    return torch.device("cuda" if has_gpu and name != "cpu" else "cpu")


def _bytes(label: str) -> Progress:
    return Progress(label, lambda done, total: f"{done / 1e9:.1f} of {total / 1e9:.1f} GB")


def _weights(label: str) -> Progress:
    return Progress(label, lambda done, total: f"{done / 1e9:.1f} of {total / 1e9:.1f} G weights")
