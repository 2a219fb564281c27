"""Every Triton kernel compiles for an H100 or H200 at gpt-oss-20b's shapes, without a GPU.

The interpreter accepts more than the compiler does. Registers and shared memory are checked too:
with more of either, only one block of threads would fit a multiprocessor.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SHARED_MEMORY = 227 * 1024


@pytest.mark.kernel
@pytest.mark.timeout(600)
def test_kernels_compile() -> None:
    environment = {key: value for key, value in os.environ.items() if key != "TRITON_INTERPRET"}
    ran = subprocess.run(
        [sys.executable, HERE / "compile_kernels.py"],
        capture_output=True,
        check=False,
        text=True,
        env=environment,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    lines = ran.stdout.splitlines()
    assert len(lines) >= 25
    for line in lines:
        *_, warps, registers, shared = line.split()
        # An allocation is a multiple of 8 registers for each of 32 threads.
        assert 2 * 32 * int(warps) * int(registers) <= 64 * 1024, line
        assert 2 * int(shared) <= SHARED_MEMORY, line
