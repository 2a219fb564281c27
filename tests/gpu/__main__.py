"""`make gpu-test`: every check that needs a GPU. A table; the last line is JSON.

Exits with 1 if a check failed.
"""

import json
import sys
import time
import traceback
from types import ModuleType

import torch

from tests.gpu import engine, exllamav2_backend, gptq, logits, witness
from tests.gpu.report import Found, free


def main() -> int:
    """Run the checks one module after the other, whatever fails."""
    if not torch.cuda.is_available():
        print("torch finds no GPU: run this on a machine with one.")
        return 1
    print(f"\n{torch.cuda.get_device_name()}, torch {torch.__version__}\n", flush=True)
    found: list[Found] = []
    modules: tuple[ModuleType, ...] = (witness, exllamav2_backend, gptq, engine, logits)
    for module in modules:
        start = time.monotonic()
        try:
            for check in module.checks():
                found.append(check)
                print(check.row(), flush=True)
        except Exception as error:  # noqa: BLE001 - the other checks still run
            traceback.print_exc()
            found.append(Found(module.__name__, False, {"error": repr(error)[:200]}))
            print(found[-1].row(), flush=True)
        free()
        print(f"  {module.__name__}: {time.monotonic() - start:.0f} s", flush=True)
    failed = [check.name for check in found if not check.is_ok]
    document = {"passed": len(found) - len(failed), "failed": failed}
    print(json.dumps({**document, "checks": [check.as_json() for check in found]}))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
