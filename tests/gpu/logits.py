"""Logits of the GPU model against transformers' GptOssForCausalLM with the same dequantized weights."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from inkling.engine.exl2.write import Kind
from inkling.engine.gpu.codes import MXFP4
from inkling.engine.gpu.layout import Matrix, Packed, dequantize
from inkling.engine.gpu.model import GpuModel
from inkling.engine.gpu.synthetic import GPT_OSS_20B, GPT_OSS_20B_FIELDS, synthetic_weights
from inkling.engine.gpu.triton_pass import BUCKETS, GraphedPass, TritonPass
from inkling.engine.gpu.weights import GpuWeights
from inkling.engine.model.config import GptOssConfig
from inkling.engine.model.paged_kv import PagedKV
from tests.gpu.report import Found, compare_logits, free, of_fused
from tests.unit.gpu.models import TINY, random_weights, reference
from tests.unit.model.gpt_oss_cases import fields

CUDA = torch.device("cuda")
BALANCED: Mapping[Kind, int] = {"attention": 6, "gate_up": 5, "down": 5, "head": 6}
NATIVE: Mapping[Kind, int] = {"attention": 6, "gate_up": MXFP4, "down": MXFP4, "head": 6}
SMALL: Mapping[Kind, int] = {"attention": 5, "gate_up": 3, "down": 4, "head": 6}
PAGE_LEN = 16
CHUNK_LEN = 512
TWO_LAYERS = replace(GPT_OSS_20B, num_layers=2, is_sliding=GPT_OSS_20B.is_sliding[:2])
TINY_FIELDS = fields(
    num_hidden_layers=2, hidden_size=96, intermediate_size=160, head_dim=64, sliding_window=40
)


def checks() -> Iterator[Found]:
    """Tiny shapes, then two layers of the true ones."""
    torch.manual_seed(0)
    for is_permuted in (False, True):
        weights = to_gpu(random_weights(TINY, is_permuted=is_permuted))
        name = "tiny, permuted" if is_permuted else "tiny"
        yield from _against_transformers(name, TINY, TINY_FIELDS, weights, (1, 7, 130, 600))
    two = {**GPT_OSS_20B_FIELDS, "num_hidden_layers": 2}
    two["layer_types"] = ["sliding_attention", "full_attention"]
    for name, bits in (("native", NATIVE), ("small", SMALL)):
        weights = synthetic_weights(TWO_LAYERS, CUDA, bits, seed=0)
        yield from _against_transformers(
            f"true shapes, {name}", TWO_LAYERS, two, weights, (1, 130, 1000)
        )
        free()
    weights = synthetic_weights(TWO_LAYERS, CUDA, BALANCED, seed=0)
    yield from _against_transformers(
        "true shapes", TWO_LAYERS, two, weights, (1, 7, 130, 1000, 4000)
    )
    free()
    yield from _rows_and_graphs(weights)
    yield from _eight_bits(weights)
    yield _long_context(weights)
    free()
    large = replace(weights, embedding=(weights.embedding.float() * 8000).half())
    yield _large_activations(large)


def to_gpu(value: Any) -> Any:
    """A tensor, or a structure of them, on the GPU."""
    if isinstance(value, Tensor):
        return value.to(CUDA)
    if isinstance(value, tuple):
        return tuple(map(to_gpu, value))
    if hasattr(value, "__dataclass_fields__"):
        return replace(value, **{key: to_gpu(getattr(value, key)) for key in vars(value)})
    return value


def _against_transformers(
    name: str,
    config: GptOssConfig,
    config_fields: dict[str, Any],
    weights: GpuWeights,
    lengths: Sequence[int],
) -> Iterator[Found]:
    theirs = _transformers_model(config_fields, config, weights)
    num_pages = max(lengths) // PAGE_LEN + 2
    model = GpuModel(config, weights)
    kv = model.new_kv(num_pages, PAGE_LEN)
    pages = torch.randperm(num_pages).tolist()
    for length in lengths:
        token_ids = torch.randint(0, config.vocab_size, (length,)).tolist()
        keep = torch.unique(torch.randint(0, length, (200,))).tolist()
        want, is_edge = _theirs(theirs, token_ids, keep)
        _poison(kv)
        got = _in_passes(model, kv, pages, token_ids, CHUNK_LEN)[keep]
        yield compare_logits(f"{name}: {length} tokens, chunks of {CHUNK_LEN}", got, want, is_edge)
        if length in (130, 600, 1000):
            _poison(kv)
            got = _in_passes(model, kv, pages, token_ids, 3)[keep]
            label = f"{name}: {length} tokens, 3 a pass (fused kernel)"
            yield of_fused(model, compare_logits(label, got, want, is_edge))
            # Rewind to a third, go elsewhere, rewind again and come back.
            third = length // 3
            model.forward(token_ids[::-1][: length - third], third, pages, kv, 1)
            rest = _in_passes(model, kv, pages, token_ids, 64, start=third)
            late = [at for at in keep if at >= third]
            where = [keep.index(at) for at in late]
            rewound = rest[[at - third for at in late]]
            yield compare_logits(
                f"{name}: {length} tokens, rewound to {third}",
                rewound,
                want[where],
                is_edge[where],
            )


def _theirs(model: Any, token_ids: list[int], keep: list[int]) -> tuple[Tensor, Tensor]:
    """transformers' fp32 logits at the positions `keep`, and for which of them a router is on edge.

    That is where the lead of the last expert chosen over the first that is not, in any layer, is less
    than twice what rounding the products' inputs to fp16 does to that token's router logits.
    """
    ids = torch.tensor([token_ids], device=CUDA)
    positions = torch.tensor(keep, device=CUDA)
    with torch.inference_mode():
        scores, want = _with_router_scores(model, ids, positions)
        with torch.autocast("cuda", torch.float16):
            rounded, _ = _with_router_scores(model, ids, positions)
    top_k = model.config.num_experts_per_tok
    is_edge = torch.zeros(len(keep), dtype=torch.bool, device=CUDA)
    for exact, other in zip(scores, rounded, strict=True):
        best = exact.topk(top_k + 1).values
        lead = best[:, top_k - 1] - best[:, top_k]
        is_edge |= (lead < 2 * (exact - other).abs().amax(-1))[keep]
    return want, is_edge


def _with_router_scores(model: Any, ids: Tensor, positions: Tensor) -> tuple[list[Tensor], Tensor]:
    """Each layer's router logits `[tokens, experts]`, and the logits at some positions."""
    scores: list[Tensor] = []

    def note(module: Any, arguments: tuple[Tensor], _: object) -> None:
        x = arguments[0].reshape(-1, module.weight.shape[1])
        scores.append(torch.nn.functional.linear(x, module.weight, module.bias).float())

    hooks = [layer.mlp.router.register_forward_hook(note) for layer in model.model.layers]
    try:
        return scores, model(ids, logits_to_keep=positions).logits[0]
    finally:
        for hook in hooks:
            hook.remove()


def _rows_and_graphs(weights: GpuWeights) -> Iterator[Found]:
    """A token's bits do not depend on its pass; a graph's are those of the eager pass."""
    config = TWO_LAYERS
    model = GpuModel(config, weights)
    kv = model.new_kv(64, PAGE_LEN)
    pages = list(range(64))
    token_ids = torch.randint(0, config.vocab_size, (400,)).tolist()
    alone = _in_passes(model, kv, pages, token_ids, 1)
    for rows in (2, 3, 4):
        together = _in_passes(model, kv, pages, token_ids, rows)
        name = f"fused kernel: {rows} tokens a pass, bit for bit one at a time"
        is_equal = torch.equal(alone, together)
        yield of_fused(model, Found(name, is_equal, {"rows": len(token_ids)}))
    twice = _in_passes(model, kv, pages, token_ids, 1)
    found = Found("fused kernel: the same bits each time", torch.equal(alone, twice), {})
    yield of_fused(model, found)
    eager = TritonPass(config, weights)
    graphed = GraphedPass(eager, kv, len(pages))
    table = torch.tensor(pages, dtype=torch.int32, device=CUDA)
    is_equal = True
    sizes = (1, 3, 5, 8, 9, 30, 100, 260)
    for rows in sizes:
        padding = next(bucket for bucket in BUCKETS if bucket >= rows) - rows
        ids, start, count = (
            torch.tensor(values, dtype=torch.int32, device=CUDA)
            for values in ([*token_ids[:rows], *[0] * padding], [300], [rows])
        )
        want = eager.forward(ids, start, table, kv, rows + padding, count)[:rows]
        is_equal &= torch.equal(graphed.forward(token_ids[:rows], 300, table, rows), want)
    yield Found("Triton: graph replay, bit for bit the eager pass", is_equal, {"sizes": len(sizes)})


def _eight_bits(weights: GpuWeights) -> Iterator[Found]:
    """A KV cache of 8 bits against the fp32 reference with the same kind of cache, and against one of
    16 bits: random weights tell more of routers on edge than of what a user would notice."""
    token_ids = torch.randint(0, TWO_LAYERS.vocab_size, (700,)).tolist()
    pages = list(range(48))
    ours = reference(TWO_LAYERS, weights)
    want = ours.forward(token_ids, 0, pages, ours.new_kv(48, PAGE_LEN, 8), 700)
    logits = {}
    for bits in (16, 8):
        model = GpuModel(TWO_LAYERS, weights)
        kv = model.new_kv(48, PAGE_LEN, bits)
        for size in (CHUNK_LEN, 3):
            logits[bits, size] = _in_passes(model, kv, pages, token_ids, size)
    yield compare_logits(f"KV of 8 bits: {CHUNK_LEN} a pass", logits[8, CHUNK_LEN], want)
    yield of_fused(model, compare_logits("KV of 8 bits: 3 a pass", logits[8, 3], want))
    free()
    cost = compare_logits("", logits[8, 3], logits[16, 3])
    yield Found("what 8 bits cost against 16 (no limit is set)", True, cost.figures)


def _long_context(weights: GpuWeights) -> Found:
    """32k tokens against the fp32 reference (transformers' attention would need 280 GB)."""
    length = 32_000
    num_pages = length // PAGE_LEN + 8
    model = GpuModel(TWO_LAYERS, weights)
    kv = model.new_kv(num_pages, PAGE_LEN)
    ours = reference(TWO_LAYERS, weights)
    wide = ours.new_kv(num_pages, PAGE_LEN)
    pages = list(range(num_pages))
    token_ids = torch.randint(0, TWO_LAYERS.vocab_size, (length + 24,)).tolist()
    for start in range(0, length, CHUNK_LEN):
        chunk = token_ids[start : min(start + CHUNK_LEN, length)]
        model.forward(chunk, start, pages, kv, 0)
        ours.forward(chunk, start, pages, wide, 0)
    got = _in_passes(model, kv, pages, token_ids, 4, start=length)
    want = ours.forward(token_ids[length:], length, pages, wide, 24)
    found = compare_logits("true shapes: behind 32,000 tokens, 4 a pass", got, want)
    return of_fused(model, found)


def _large_activations(weights: GpuWeights) -> Found:
    """A residual stream of up to 4e4: nothing may overflow in fp16."""
    model = GpuModel(TWO_LAYERS, weights)
    kv = model.new_kv(64, PAGE_LEN)
    ours = reference(TWO_LAYERS, weights)
    wide = ours.new_kv(64, PAGE_LEN)
    pages = list(range(64))
    token_ids = torch.randint(0, TWO_LAYERS.vocab_size, (300,)).tolist()
    want = ours.forward(token_ids, 0, pages, wide, 300)
    first = model.forward(token_ids[:200], 0, pages, kv, 200)
    got = torch.cat((first, _in_passes(model, kv, pages, token_ids, 1, start=200)))
    return of_fused(model, compare_logits("true shapes: activations of 4e4", got, want))


def _in_passes(
    model: GpuModel, kv: PagedKV, pages: list[int], token_ids: list[int], size: int, start: int = 0
) -> Tensor:
    """Logits `[tokens from start, vocab]`, the pages' KV before `start` being there."""
    rows = []
    for at in range(start, len(token_ids), size):
        chunk = token_ids[at : at + size]
        rows.append(model.forward(chunk, at, pages, kv, len(chunk)))
    return torch.cat(rows)


def _poison(kv: PagedKV) -> None:
    """What was never written is NaN: reading it would show."""
    kv.keys.fill_(torch.nan)
    kv.values.fill_(torch.nan)


def _transformers_model(
    config_fields: dict[str, Any], config: GptOssConfig, weights: GpuWeights
) -> Any:
    from transformers import GptOssConfig as TheirConfig
    from transformers import GptOssForCausalLM

    settings = TheirConfig(**config_fields)
    settings._attn_implementation = "eager"
    with torch.device(CUDA):
        model: Any = GptOssForCausalLM(settings)
    model = model.float().eval()
    state = model.state_dict()
    heads = config.num_heads * config.head_dim
    kv_width = config.num_kv_heads * config.head_dim
    with torch.no_grad():
        state["model.embed_tokens.weight"].copy_(weights.embedding)
        state["model.norm.weight"].copy_(weights.norm)
        state["lm_head.weight"].copy_(_dense(weights.head).t())
        for index, layer in enumerate(weights.layers):
            at = f"model.layers.{index}"
            parts = torch.split(_dense(layer.qkv).t(), [heads, kv_width, kv_width])
            biases = torch.split(layer.qkv_bias, [heads, kv_width, kv_width])
            for letter, part, bias in zip("qkv", parts, biases, strict=True):
                state[f"{at}.self_attn.{letter}_proj.weight"].copy_(part)
                state[f"{at}.self_attn.{letter}_proj.bias"].copy_(bias)
            state[f"{at}.self_attn.o_proj.weight"].copy_(_dense(layer.attention_out).t())
            state[f"{at}.self_attn.o_proj.bias"].copy_(layer.attention_out_bias)
            state[f"{at}.self_attn.sinks"].copy_(layer.sinks)
            state[f"{at}.input_layernorm.weight"].copy_(layer.input_norm)
            state[f"{at}.post_attention_layernorm.weight"].copy_(layer.post_attention_norm)
            state[f"{at}.mlp.router.weight"].copy_(layer.router)
            state[f"{at}.mlp.router.bias"].copy_(layer.router_bias)
            state[f"{at}.mlp.experts.gate_up_proj"].copy_(_dense(layer.gate_up))
            state[f"{at}.mlp.experts.gate_up_proj_bias"].copy_(layer.gate_up_bias)
            state[f"{at}.mlp.experts.down_proj"].copy_(_dense(layer.down))
            state[f"{at}.mlp.experts.down_proj_bias"].copy_(layer.down_bias)
    return model


def _dense(matrix: Matrix) -> Tensor:
    """fp32; of several experts one at a time, since unpacking takes many times their size."""
    if not isinstance(matrix, Packed):
        return matrix.weight.float()
    if matrix.scales.dim() == 3:
        return dequantize(matrix).float()
    return torch.stack([_dense(_expert(matrix, index)) for index in range(len(matrix.scales))])


def _expert(matrix: Packed, index: int) -> Packed:
    high = None if matrix.high is None else matrix.high[index]
    perm = None if matrix.perm is None else matrix.perm[index]
    return Packed(matrix.bits, matrix.words[index], high, matrix.scales[index], perm)
