"""Converting a checkpoint of gpt-oss-20b's true shapes: time, memory, size, error, and speed when served.

python -m bench.conversion FOLDER [--layers 24] [--recipes ...] [--calibrate-with torch]

FOLDER takes the published checkpoint (13.8 GB at 24 layers), which stays there, and one converted one at a
time. Weights are random, drawn like MXFP4's. Every conversion is verified; the experts of `exact` are held
against transformers' own dequantizer. With a GPU each result is loaded by the engine and decodes 200
tokens behind 1,500. Prints a table; the last line is JSON.
"""

import argparse
import json
import resource
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from inkling.engine.convert.facts import Fact, read_facts
from inkling.engine.convert.recipe import load_recipe, recipe_names
from inkling.engine.convert.run import Calibration, convert
from inkling.engine.convert.verify import verify
from inkling.engine.exl2.dequant import dequantize
from inkling.engine.exl2.format import Exl2Matrix
from inkling.engine.exl2.names import model_names
from inkling.engine.exl2.reading import read_matrix
from inkling.engine.exl2.tensors import TensorFiles
from inkling.engine.gpu.synthetic import GPT_OSS_20B_FIELDS
from inkling.engine.model.config import FULL, SLIDING, GptOssConfig
from inkling.engine.pick import demo_folder
from tests.published import write_published
from tests.unit.convert.gptq_double import TorchSolver

PAGE_LEN = 16
PROMPT, DECODED = 1500, 200


@dataclass(frozen=True)
class Result:
    """One recipe. Errors are of the experts' weights, mean and worst matrix; `gpu_gib` and
    `tokens_per_s` are None without a GPU."""

    recipe: str
    seconds: float
    verify_seconds: float
    gb: float
    error: float
    worst_error: float
    inexact_blocks: int
    gpu_gib: float | None
    tokens_per_s: float | None


def main() -> None:
    parser = argparse.ArgumentParser(description="Convert gpt-oss-20b's shapes with every recipe.")
    parser.add_argument("folder", type=Path, help="where the checkpoints are written")
    parser.add_argument("--layers", type=int, default=24)
    parser.add_argument("--recipes", nargs="*", default=recipe_names())
    parser.add_argument("--rows", type=int, default=100, help="calibration text, of 2,048 tokens")
    parser.add_argument("--calibrate-with", choices=("exllamav2", "torch"), default="exllamav2")
    arguments = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    calibration = Calibration(rows=arguments.rows)
    if arguments.calibrate_with == "torch":
        calibration = Calibration(rows=arguments.rows, make_solver=TorchSolver)
    published = arguments.folder / f"published-{arguments.layers}"
    if not published.exists():
        start = time.perf_counter()
        kinds = [SLIDING, FULL] * (arguments.layers // 2)
        fields = {
            **GPT_OSS_20B_FIELDS,
            "num_hidden_layers": arguments.layers,
            "layer_types": kinds,
        }
        draft = published.with_suffix(".draft")
        write_published(draft, fields, num_shards=3, device=device, tokenizer_folder=demo_folder())
        draft.rename(published)
        print(f"published checkpoint written in {time.perf_counter() - start:.0f} s", flush=True)
    results = []
    for recipe in arguments.recipes:
        out = arguments.folder / recipe
        result = measure(published, out, recipe, device, calibration)
        shutil.rmtree(out)
        results.append(result)
        print(
            f"{recipe:<10} {result.seconds:>6.0f} s, verified in {result.verify_seconds:>4.0f} s"
            f"  {result.gb:>6.2f} GB  error {100 * result.error:.2f} % (worst"
            f" {100 * result.worst_error:.2f})  {result.inexact_blocks} blocks not exact"
            f"  GPU {result.gpu_gib or 0:.1f} GiB, {result.tokens_per_s or 0:.0f} tokens/s",
            flush=True,
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"peak memory of the process, mapped files included: {peak:.1f} GiB")
    print(json.dumps({"layers": arguments.layers, "rows": [asdict(each) for each in results]}))


def measure(
    published: Path, out: Path, recipe: str, device: torch.device, calibration: Calibration
) -> Result:
    """Convert, verify, look into it, and serve it."""

    def quietly(done: float, total: float) -> None:
        pass

    start = time.perf_counter()
    convert(
        published,
        out,
        load_recipe(recipe),
        device,
        calibration,
        checking=quietly,
        converting=quietly,
    )
    seconds = time.perf_counter() - start
    start = time.perf_counter()
    verify(published, out, device, checking=quietly, verifying=quietly)
    verify_seconds = time.perf_counter() - start
    if recipe == "exact":
        check_exact(published, out, device)
    experts = [fact for fact in read_facts(out) if fact.kind in ("gate_up", "down")]
    errors = [fact.error or 0.0 for fact in experts]
    gpu_gib = tokens_per_s = None
    if device.type == "cuda":
        gpu_gib, tokens_per_s = serve(out, device)
    return Result(
        recipe=recipe,
        seconds=round(seconds, 1),
        verify_seconds=round(verify_seconds, 1),
        gb=sum(path.stat().st_size for path in out.glob("*.safetensors")) / 1e9,
        error=sum(errors) / len(errors),
        worst_error=max(errors),
        inexact_blocks=sum(map(_inexact, experts)),
        gpu_gib=gpu_gib,
        tokens_per_s=tokens_per_s,
    )


def _inexact(fact: Fact) -> int:
    return fact.inexact_blocks or 0


def check_exact(published: Path, out: Path, device: torch.device) -> None:
    """Every expert of `out` against transformers' dequantizer, bit for bit."""
    from transformers.integrations.mxfp4 import convert_moe_packed_tensors

    names = model_names(GptOssConfig.from_json(out / "config.json"))
    with TensorFiles(published) as source, TensorFiles(out) as files:
        for index, layer in enumerate(names.layers):
            for part, linears in (("gate_up_proj", layer.gate_up), ("down_proj", layer.down)):
                name = f"model.layers.{index}.mlp.experts.{part}"
                blocks, scales = (
                    source.read(f"{name}_{of}").to(device) for of in ("blocks", "scales")
                )
                want = convert_moe_packed_tensors(blocks, scales)
                for expert, linear in enumerate(linears):
                    matrix = read_matrix(files, linear)
                    assert isinstance(matrix, Exl2Matrix)
                    got = dequantize(_on(matrix, device)).float()
                    assert torch.equal(got, want[expert].to(device).float()), linear.name
    print(f"exact: all experts of {len(names.layers)} layers have transformers' bits", flush=True)


def _on(matrix: Exl2Matrix, device: torch.device) -> Exl2Matrix:
    from dataclasses import replace

    return replace(
        matrix,
        q_weight=matrix.q_weight.to(device),
        q_scale=matrix.q_scale.to(device),
        q_scale_max=matrix.q_scale_max.to(device),
    )


def serve(folder: Path, device: torch.device) -> tuple[float, float]:
    """GiB on the GPU with 16k tokens of KV, and tokens a second of greedy decoding."""
    from inkling.engine.gpu.load import load_gpu_weights
    from inkling.engine.gpu.model import GpuModel

    torch.cuda.empty_cache()
    before = torch.cuda.mem_get_info()[0]
    model = GpuModel(*load_gpu_weights(folder, device))
    num_pages = 16_384 // PAGE_LEN
    kv = model.new_kv(num_pages, PAGE_LEN)
    pages = list(range(num_pages))
    prompt = torch.randint(0, model.config.vocab_size, (PROMPT,)).tolist()
    for start in range(0, PROMPT, 500):
        model.forward(prompt[start : start + 500], start, pages, kv, 0)
    rates = []
    for _ in range(3):
        step = model.decode(prompt[-1], PROMPT, pages, kv)
        step.token_id()
        begun = time.perf_counter()
        for position in range(PROMPT + 1, PROMPT + DECODED):
            step = model.decode(step, position, pages, kv)
        step.token_id()
        rates.append((DECODED - 1) / (time.perf_counter() - begun))
    used = (before - torch.cuda.mem_get_info()[0]) / 2**30
    return used, sorted(rates)[1]


if __name__ == "__main__":
    main()
