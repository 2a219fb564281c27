"""CUDA C++ at run time, through NVIDIA's own bindings: no toolkit on the user's machine.

torch's CUDA build brings the compiler's library (NVRTC) and these bindings. What was compiled is kept
in the user's cache folder, by a hash of all that went into it.
"""

import contextlib
import ctypes
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from platformdirs import user_cache_path

OPTIONS = ("--std=c++17", "--fmad=false", "--device-as-default-execution-space")


class KernelError(Exception):
    """A kernel cannot be had or started on this machine; the message says why."""


class Kernel:
    """One loaded kernel whose only argument is a ctypes structure by value.

    Its code says in a variable `sizes` what it needs: floats of scratch memory, bytes of shared.
    """

    def __init__(self, cubin: bytes, name: str, device: torch.device) -> None:
        """Load machine code. Raises KernelError where the GPU lacks the shared memory."""
        from cuda.bindings import driver

        self._driver: Any = driver
        self._device = device
        torch.cuda.current_stream(device)  # makes torch's context, which the driver then uses
        self._module = module = _checked(driver.cuModuleLoadData(cubin))
        self._function = _checked(driver.cuModuleGetFunction(module, name.encode()))
        address, num_bytes = _checked(driver.cuModuleGetGlobal(module, b"sizes"))
        sizes = (ctypes.c_uint64 * 2)()
        _checked(driver.cuMemcpyDtoH(ctypes.addressof(sizes), address, num_bytes))
        self.scratch_floats, self._shared_bytes = sizes
        attribute = driver.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
        _checked(driver.cuFuncSetAttribute(self._function, attribute, self._shared_bytes))

    def launch(self, blocks: int, threads: int, argument: ctypes.Structure) -> None:
        """Start on torch's current stream with all blocks resident at once; returns at once.

        Raises KernelError; nothing runs then.
        """
        stream = torch.cuda.current_stream(self._device).cuda_stream
        pointers = (ctypes.c_void_p * 1)(ctypes.addressof(argument))
        _checked(
            self._driver.cuLaunchCooperativeKernel(
                self._function,
                *(blocks, 1, 1),
                *(threads, 1, 1),
                self._shared_bytes,
                stream,
                ctypes.addressof(pointers),
            )
        )


def most_shared_bytes(device: torch.device) -> int:
    """Bytes of shared memory that a block of this GPU may ask for. Raises KernelError."""
    torch.cuda.current_stream(device)  # makes torch's context
    try:
        from cuda.bindings import driver

        attribute = driver.CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN
        found: int = _checked(driver.cuDeviceGetAttribute(attribute, device.index or 0))
    except (ImportError, RuntimeError) as error:
        raise KernelError(
            f"NVIDIA's cuda-bindings are missing or find no driver ({error})"
        ) from error
    return found


def compile_kernel(
    text: str, constants: Mapping[str, str], name: str, device: torch.device
) -> Kernel:
    """The kernel `name` of `text` with its constants defined, from the cache where it was made before.

    Raises KernelError: no bindings, no compiler, code it refuses, too little shared memory.
    """
    try:
        from cuda.bindings import nvrtc

        major, minor = torch.cuda.get_device_capability(device)
        options = [
            f"--gpu-architecture=sm_{major}{minor}",
            *OPTIONS,
            *(f"-D{key}={value}" for key, value in sorted(constants.items())),
        ]
        parts = [text, str(_checked(nvrtc.nvrtcVersion())), *options]
        file = _cache_file(parts)
        if file.is_file():
            with contextlib.suppress(OSError, KernelError):  # damaged: compiled once more
                return Kernel(file.read_bytes(), name, device)
        code = _compile(nvrtc, text, options)
        kernel = Kernel(code, name, device)
    except (ImportError, RuntimeError, KernelError) as error:  # RuntimeError: no library found
        raise KernelError(f"{name} cannot be compiled here: {error}") from error
    _keep(file, code)
    return kernel


def _cache_file(parts: list[str]) -> Path:
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    return user_cache_path("inkling") / "kernels" / f"{key}.cubin"


def _compile(nvrtc: Any, text: str, options: list[str]) -> bytes:
    program = _checked(nvrtc.nvrtcCreateProgram(text.encode(), b"kernel.cu", 0, [], []))
    encoded = [option.encode() for option in options]
    (result,) = nvrtc.nvrtcCompileProgram(program, len(encoded), encoded)
    if result != nvrtc.nvrtcResult.NVRTC_SUCCESS:
        log = b" " * _checked(nvrtc.nvrtcGetProgramLogSize(program))
        _checked(nvrtc.nvrtcGetProgramLog(program, log))
        raise KernelError(log.decode(errors="replace").strip(" \0\n"))
    code: bytes = b" " * _checked(nvrtc.nvrtcGetCUBINSize(program))
    _checked(nvrtc.nvrtcGetCUBIN(program, code))
    return code


def _keep(file: Path, code: bytes) -> None:
    """Write the cache entry whole or not at all: engines may start at the same time."""
    # A full or read-only disk costs the next start a few seconds, no more.
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(f".{os.getpid()}.part")
        part.write_bytes(code)
        part.replace(file)


def _checked(result: tuple[Any, ...]) -> Any:
    """What a call of the bindings returned, without its status. Raises KernelError."""
    status, *values = result
    if int(status) != 0:
        raise KernelError(f"{status!r}")
    return values[0] if len(values) == 1 else values or None
