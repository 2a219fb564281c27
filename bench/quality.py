"""What each recipe costs in quality: perplexity and KL divergence against the unquantized model.

python -m bench.quality [--synthetic] [--recipes balanced exact ...] [--rows 100]
    [--calibrate-with torch]

The model is the demo model as if it had been published like gpt-oss: experts rounded to MXFP4, the rest
bf16. With --synthetic it is a random one of four layers a third as wide as gpt-oss-20b's: it knows no
language, and only its divergence means something. The text is this project's own source, which no training
has seen. "small" needs exllamav2 and a GPU; `--calibrate-with torch` takes the tests' own GPTQ instead.
Prints a table; the last line is JSON.
"""

import argparse
import json
import math
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from inkling.engine.convert.gptq import Exllamav2Solver
from inkling.engine.convert.recipe import Recipe, load_recipe, recipe_names
from inkling.engine.convert.run import Calibration, convert
from inkling.engine.exl2 import load_checkpoint
from inkling.engine.exl2.dequant import dequantize
from inkling.engine.exl2.format import Exl2Matrix
from inkling.engine.exl2.names import Linear, model_names
from inkling.engine.exl2.reading import read_matrix, read_vector
from inkling.engine.exl2.tensors import TensorFiles
from inkling.engine.model.base import Model
from inkling.engine.model.config import FULL, SLIDING, GptOssConfig
from inkling.engine.pick import demo_folder
from inkling.tokenizer import Tokenizer
from tests.published import powers_of_two, quantized, tiny_fields, write_published
from tests.unit.convert.gptq_double import TorchSolver

WINDOW = 512  # tokens looked at together
NUM_WINDOWS = 40
PAGE_LEN = 16


@dataclass(frozen=True)
class Quality:
    """One recipe. `kl` in nats, mean over tokens and its 99th percentile; `top1`: share of tokens whose
    likeliest successor is the unquantized model's."""

    recipe: str
    bits_per_weight: float
    perplexity: float
    kl: float
    kl_p99: float
    top1: float


def publish_demo(folder: Path) -> None:
    """The demo model as gpt-oss is published, in bf16."""
    demo = demo_folder()
    fields = json.loads((demo / "config.json").read_text())
    fields.pop("quantization_config")
    names = model_names(GptOssConfig.from_fields(fields, demo))
    state: dict[str, Tensor] = {}
    with TensorFiles(demo) as files:

        def matrix(linear: Linear) -> Tensor:
            """fp32 `[in, out]`."""
            stored = read_matrix(files, linear)
            assert isinstance(stored, Exl2Matrix | Tensor)
            return (
                dequantize(stored).float() if isinstance(stored, Exl2Matrix) else stored.t().float()
            )

        state["model.norm.weight"] = read_vector(files, names.norm)
        for linear in (names.embedding, names.head):
            assert linear is not None
            state[f"{linear.name}.weight"] = matrix(linear).t()
        for index, layer in enumerate(names.layers):
            dense = (*layer.qkv, layer.attention_out, layer.router)
            for linear in dense:
                state[f"{linear.name}.weight"] = matrix(linear).t()
            for vector in (
                *(layer.input_norm, layer.post_attention_norm, layer.sinks),
                *(linear.bias for linear in dense),
            ):
                state[vector.name] = read_vector(files, vector)
            for part, linears in (("gate_up_proj", layer.gate_up), ("down_proj", layer.down)):
                name = f"model.layers.{index}.mlp.experts.{part}"
                state[name] = torch.stack([_as_mxfp4(matrix(linear)) for linear in linears])
                biases = [read_vector(files, linear.bias) for linear in linears]
                state[f"{name}_bias"] = torch.stack(biases)
    folder.mkdir()
    save_file(
        {name: tensor.bfloat16().contiguous() for name, tensor in state.items()},
        folder / "model.safetensors",
    )
    (folder / "config.json").write_text(json.dumps(fields))
    shutil.copyfile(demo / "tokenizer.json", folder / "tokenizer.json")


def _as_mxfp4(weight: Tensor) -> Tensor:
    """`weight` `[in, out]` rounded to MXFP4's values."""
    codes, exponents = quantized(weight.t().contiguous())
    magnitudes = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6])
    values = torch.cat((magnitudes, -magnitudes))[codes.int()]
    blocks = values.view(*exponents.shape, -1) * powers_of_two(exponents)[..., None]
    return blocks.view_as(values).t()


def publish_synthetic(folder: Path) -> None:
    """A random model."""
    fields = tiny_fields(
        num_hidden_layers=4,
        layer_types=[SLIDING, FULL] * 2,
        hidden_size=960,
        intermediate_size=960,
        num_local_experts=8,
        num_attention_heads=16,
        num_key_value_heads=4,
        head_dim=64,
        vocab_size=8192,
        max_position_embeddings=4096,
    )
    write_published(folder, fields, tokenizer_folder=demo_folder())


def windows(folder: Path, count: int) -> list[list[int]]:
    """Token ids of the project's own source."""
    tokenizer = Tokenizer.load(folder)
    root = Path(__file__).parents[1] / "server/inkling"
    text = "\n".join(path.read_text() for path in sorted(root.rglob("*.py")))
    ids = tokenizer.encode(text)
    step = (len(ids) - WINDOW) // (count - 1)
    return [ids[start : start + WINDOW] for start in range(0, step * count, step)]


def logits_of(folder: Path, texts: list[list[int]], device: torch.device) -> Iterator[Tensor]:
    """fp32 `[WINDOW, vocab]` of each text."""
    model = _load(folder, device)
    num_pages = WINDOW // PAGE_LEN + 1
    kv = model.new_kv(num_pages, PAGE_LEN)
    for ids in texts:
        yield model.forward(ids, 0, list(range(num_pages)), kv, len(ids))


def _load(folder: Path, device: torch.device) -> Model:
    if device.type == "cpu":
        return load_checkpoint(folder)
    from inkling.engine.gpu.load import load_gpu_weights
    from inkling.engine.gpu.model import GpuModel

    return GpuModel(*load_gpu_weights(folder, device))


def compare(
    recipe: str,
    bits: float,
    folder: Path,
    plain: Path,
    texts: list[list[int]],
    device: torch.device,
) -> Quality:
    """The model in `folder` against the unquantized one in `plain`."""
    divergences, losses, agreeing = [], [], []
    both = zip(
        texts, logits_of(plain, texts, device), logits_of(folder, texts, device), strict=True
    )
    for ids, reference, logits in both:
        p, q = reference.log_softmax(-1), logits.log_softmax(-1)
        divergences.append((p.exp() * (p - q)).sum(-1).cpu())
        nexts = torch.tensor(ids[1:], device=q.device)
        losses.append(-q[:-1].gather(1, nexts[:, None])[:, 0].cpu())
        agreeing.append((p.argmax(-1) == q.argmax(-1)).float().cpu())
    kl = torch.cat(divergences)
    return Quality(
        recipe=recipe,
        bits_per_weight=round(bits, 2),
        perplexity=math.exp(float(torch.cat(losses).mean())),
        kl=float(kl.mean()),
        kl_p99=float(kl.quantile(0.99)),
        top1=float(torch.cat(agreeing).mean()),
    )


def bits_per_weight(folder: Path) -> float:
    """Of all experts' matrices."""
    from inkling.engine.convert.facts import read_facts

    facts = [fact for fact in read_facts(folder) if fact.kind in ("gate_up", "down")]
    return 8 * sum(fact.nbytes for fact in facts) / sum(fact.num_weights for fact in facts)


def main() -> None:
    parser = argparse.ArgumentParser(description="Perplexity and KL divergence of each recipe.")
    parser.add_argument("--synthetic", action="store_true", help="true shapes, random weights")
    parser.add_argument("--recipes", nargs="*", default=recipe_names())
    parser.add_argument("--rows", type=int, default=100, help="rows of calibration text")
    parser.add_argument("--calibrate-with", choices=("exllamav2", "torch"), default="exllamav2")
    arguments = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    make_solver = TorchSolver if arguments.calibrate_with == "torch" else Exllamav2Solver
    calibration = Calibration(rows=arguments.rows, make_solver=make_solver)

    def quietly(done: float, total: float) -> None:
        pass

    with tempfile.TemporaryDirectory(prefix="inkling-quality-") as name:
        root = Path(name)
        published = root / "published"
        if arguments.synthetic:
            publish_synthetic(published)
        else:
            publish_demo(published)
        texts = windows(published, NUM_WINDOWS)
        plain = root / "plain"
        rows = []
        for recipe in (Recipe(name="plain"), *map(load_recipe, arguments.recipes)):
            out = root / recipe.name
            convert(
                published, out, recipe, device, calibration, checking=quietly, converting=quietly
            )
            row = compare(recipe.name, bits_per_weight(out), out, plain, texts, device)
            rows.append(row)
            print(
                f"{row.recipe:<10} {row.bits_per_weight:>6.2f} bits  perplexity {row.perplexity:>10.3f}"
                f"  KL {row.kl:.5f} (99 %: {row.kl_p99:.4f})  top-1 {100 * row.top1:.2f} %",
                flush=True,
            )
    print(json.dumps({"device": device.type, "rows": [asdict(row) for row in rows]}))


if __name__ == "__main__":
    main()
