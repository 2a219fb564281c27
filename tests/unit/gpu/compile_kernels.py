"""Compile the Triton kernels for sm_90 and print what each takes: warps, registers, bytes shared.

A process of its own: no kernel can be compiled where Triton's interpreter is on.
"""

import itertools
import re
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from inkling.engine.gpu.codes import MXFP4
from inkling.engine.gpu.kernels import attention, dense, experts, norm, rotary, router, tiles
from inkling.engine.model.paged_kv import KVBits

HIDDEN, INNER, VOCAB, EXPERTS, TOP_K = 2880, 2880, 201_088, 32, 4
HEADS = {"HEADS": 64, "KV_HEADS": 8}
INTS = ("num_rows", "num_tokens", "num_pairs", "num_blocks")
FLOATS = ("eps", "limit", "scale", "log2_e")
POINTERS = {
    **dict.fromkeys(("queries_ptr", "keys_ptr", "values_ptr"), "*fp16"),
    **dict.fromkeys(("key_scales_ptr", "value_scales_ptr"), "*fp16"),
    **dict.fromkeys(("words_ptr", "high_ptr", "chosen_ptr", "pairs_ptr"), "*i32"),
    **dict.fromkeys(("block_expert_ptr", "block_first_ptr", "block_rows_ptr"), "*i32"),
    **dict.fromkeys(("start_ptr", "num_rows_ptr", "page_table_ptr"), "*i32"),
    "scales_ptr": "*u8",
    "perm_ptr": "*i16",
    "normed_ptr": "*fp16",
}
CUOBJDUMP = Path(triton.__file__).parent / "backends/nvidia/bin/cuobjdump"


def compile_kernel(
    kernel: Any, constants: Mapping[str, Any], pointers: Mapping[str, str], **options: int
) -> None:
    """Compile one kernel; pointers not named in `pointers` or POINTERS are to fp32."""
    signature, attributes = {}, {}
    for index, name in enumerate(kernel.arg_names):
        if name in constants:
            signature[name] = "constexpr"
        elif name in INTS:
            signature[name] = "i32"
        elif name in FLOATS:
            signature[name] = "fp32"
        else:
            signature[name] = {**POINTERS, **pointers}.get(name, "*fp32")
            attributes[(index,)] = [["tt.divisibility", 16]]
    source = ASTSource(kernel, signature, dict(constants), attributes)
    target = GPUTarget("cuda", 90, 32)
    compiled = triton.compile(source, target=target, options=options)
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(compiled.asm["cubin"])
        file.flush()
        usage = subprocess.run(
            [CUOBJDUMP, "-res-usage", file.name], capture_output=True, text=True, check=True
        ).stdout
    found = re.search(r"REG:(\d+)", usage)
    assert found is not None
    what = ",".join(f"{key}={value}" for key, value in constants.items())
    warps = options.get("num_warps", 4)
    print(kernel.__name__, what, warps, found[1], compiled.metadata.shared)


def compile_product(kernel: Any, tile: tiles.Tile, constants: Mapping[str, Any]) -> None:
    """Compile a kernel that multiplies with a matrix."""
    sizes = {key: value for key, value in tile.launch.items() if key.isupper()}
    options = {key: value for key, value in tile.launch.items() if not key.isupper()}
    pointers = {"x_ptr": "*fp16"}
    if constants["BITS"] == 16:
        pointers |= dict.fromkeys(("words_ptr", "high_ptr", "scales_ptr"), "*fp16")
    if kernel is experts.gate_up_kernel:
        pointers["out_ptr"] = "*fp16"
    compile_kernel(kernel, {**constants, **sizes}, pointers, **options)


def compile_dense(tile: tiles.Tile, num_in: int, num_out: int, bits: int) -> None:
    """Compile a product as it is used for a matrix of these sizes."""
    is_out = num_out == HIDDEN
    constants = {"IN": num_in, "OUT": num_out, "BITS": bits}
    constants |= {"HAS_BIAS": num_out != VOCAB, "HAS_RESIDUAL": is_out}
    compile_product(dense.dense_kernel, tile, constants)


def main() -> None:
    """Compile all."""
    dense_tiles = [dense_tile for _, dense_tile in tiles._DENSE]
    for tile in dense_tiles:
        compile_dense(tile, HIDDEN, 5120, 6)
        compile_dense(tile, 4096, HIDDEN, 6)
    for bits in (3, 4, 8, 16):
        compile_dense(dense_tiles[0], HIDDEN, VOCAB, bits)
        compile_dense(dense_tiles[-1], HIDDEN, 5120, bits)
    for bits, (_, tile) in itertools.product((3, 5, MXFP4), tiles._EXPERTS):
        constants = {"IN": HIDDEN, "OUT": 2 * INNER, "BITS": bits}
        gate_up = {"IS_SORTED": False, "TOP_K": TOP_K, **constants}
        compile_product(experts.gate_up_kernel, tile, gate_up)
        compile_product(experts.down_kernel, tile, {"IN": INNER, "OUT": HIDDEN, "BITS": bits})
    halves = {"x_ptr": "*fp16", "out_ptr": "*fp16"}
    sizes = {"TOP_K": TOP_K, "WIDTH": HIDDEN, "FEATURES": 256}
    compile_kernel(experts.gather_kernel, sizes, halves)

    for rows in (1, 4):
        sizes = {"HIDDEN": HIDDEN, "EXPERTS": EXPERTS, "TOP_K": TOP_K, "ROWS": rows}
        sizes["FEATURES"] = router._FEATURES
        compile_kernel(router.route_kernel, sizes, {}, num_warps=8)
    sizes = {"EXPERTS": EXPERTS, "ROWS": 64, "PAIRS": router._PAIRS}
    compile_kernel(router.sort_kernel, sizes, {}, num_warps=8)
    for added in (0, TOP_K):
        sizes = {"HIDDEN": HIDDEN, "NUM_ADDED": added, "FEATURES": 4096}
        compile_kernel(norm.add_and_norm_kernel, sizes, {"out_ptr": "*fp16"}, num_warps=8)

    widths: tuple[KVBits, ...] = (16, 8)
    for bits in widths:
        kv: dict[str, Any] = {"KV_BITS": bits}
        pointers = {"out_ptr": "*fp16"}
        if bits == 8:
            pointers |= {"keys_ptr": "*i8", "values_ptr": "*i8"}
        else:
            kv |= {"key_scales_ptr": None, "value_scales_ptr": None}
        sizes = {"PAGE_LEN": 256, **HEADS, "HALF": 32, "QUERY_ROWS": 64, "KEY_ROWS": 8, **kv}
        compile_kernel(rotary.rotate_and_append_kernel, sizes, pointers)
        for window, tokens, splits in ((0, 16, 1), (128, 16, 1), (0, 1, 32), (0, 8, 32)):
            rows = max(16, tokens * 8)
            sizes = {"WINDOW": window, "PAGE_LEN": 256, **HEADS, "HEAD_DIM": 64, **kv}
            sizes |= {"TOKENS": tokens, "ROWS": rows, "KEYS": attention._KEYS, "SPLITS": splits}
            options = attention.launch_options(rows, bits)
            compile_kernel(attention.attend_kernel, sizes, pointers, **options)
    sizes = {"HEADS": 64, "HEAD_DIM": 64, "SPLITS": 32}
    compile_kernel(attention.combine_kernel, sizes, {"out_ptr": "*fp16"}, num_warps=1)


if __name__ == "__main__":
    main()
