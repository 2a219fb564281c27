"""Calibrated conversion: what Hessians are made of, what GPTQ gains, and going on after a kill."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import islice
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from inkling.engine import mxfp4
from inkling.engine.convert import gptq
from inkling.engine.convert.calibration import Matrix, Parts, calibrate
from inkling.engine.convert.gptq import CalibrationError, Exllamav2Solver, Prepared, Solver
from inkling.engine.convert.recipe import How, Recipe
from inkling.engine.exl2.dequant import dequantize
from inkling.engine.exl2.format import parse
from inkling.engine.exl2.names import Linear, Vector, model_names
from inkling.engine.exl2.quantize import quantize
from inkling.engine.model.config import GptOssConfig
from tests.unit.convert.gptq_double import TorchSolver, weighted_error
from tests.unit.model.exl2_oracle import dequantized
from tests.unit.model.gpt_oss_cases import fields, tokens, transformers_model

CPU = torch.device("cpu")
FIELDS = fields(num_hidden_layers=2, layer_types=["sliding_attention", "full_attention"])
GPTQ = {bits: How(method="gptq", bits=bits, group=32) for bits in (3, 4)}
ALL_GPTQ = Recipe(name="all", attention=GPTQ[4], gate_up=GPTQ[3], down=GPTQ[4])
ROWS, LENGTH = 3, 40
TEXT = torch.tensor(tokens(ROWS * LENGTH)).view(ROWS, LENGTH)


@dataclass
class TinySource:
    """The weights of transformers' model, as a published checkpoint has them."""

    model: Any
    config: GptOssConfig
    published: dict[str, mxfp4.Mxfp4Matrix] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.names = model_names(self.config)
        self.state: Mapping[str, Tensor] = self.model.state_dict()

    def matrix(self, linear: Linear) -> Matrix:
        if linear.name in self.published:
            return self.published[linear.name]
        if ".experts." in linear.name:
            stack, expert, part = linear.name.rsplit(".", 2)
            return self.state[f"{stack}.{part}"][int(expert)]
        return self.state[f"{linear.name}.weight"].t()

    def vector(self, vector: Vector) -> Tensor:
        if ".experts." in vector.name:
            stack, expert, part, _ = vector.name.rsplit(".", 3)
            return self.state[f"{stack}.{part}_bias"][int(expert)]
        return self.state[vector.name]


@cache
def source(seed: int = 0) -> TinySource:
    config = GptOssConfig.from_fields(FIELDS, None)  # type: ignore[arg-type]
    return TinySource(transformers_model(FIELDS, seed), config)


def as_published(matrix: Matrix) -> Parts:
    if isinstance(matrix, mxfp4.Mxfp4Matrix):
        return {"blocks": matrix.blocks, "scales": matrix.scales}
    return {"weight": matrix.t()}


@dataclass
class Recorder:
    """Keeps Hessians, and gives weights back as they are: the model stays what it was."""

    hessians: list[Tensor] = field(default_factory=list)

    def prepare(self, hessian: Tensor) -> Prepared:
        self.hessians.append(hessian.clone())
        return self

    def solve(self, weight: Tensor, bits: int, group_size: int) -> Parts:
        return {"weight": weight.t()}


def converted(
    of: TinySource,
    recipe: Recipe = ALL_GPTQ,
    solver: Solver | None = None,
    text: Tensor = TEXT,
    done: Mapping[str, Parts] | None = None,
) -> dict[str, Parts]:
    """All matrices converted, in their order, those of `done` left out."""

    def finished(linear: Linear) -> Parts | None:
        return (done or {}).get(linear.name)

    solver = solver or TorchSolver()
    steps = calibrate(
        of, recipe, text, CPU, solver, lambda _, matrix: as_published(matrix), finished
    )
    return {linear.name: parts for linear, parts in steps}


def inputs_in_transformers(model: Any, text: Tensor) -> list[Tensor]:
    """The inputs `[tokens, in]` of q, o, gate_up (all tokens) and of each expert's down, of each
    layer, in our order."""
    seen: list[Tensor] = []
    hooks = []
    for layer in model.model.layers:
        attention, experts = layer.self_attn, layer.mlp.experts
        for module in (attention.q_proj, attention.o_proj, layer.mlp):
            hooks.append(
                module.register_forward_pre_hook(
                    lambda _, args: seen.append(args[0].flatten(0, 1).clone())
                )
            )

        def down_inputs(experts: Any, args: tuple[Tensor, ...]) -> None:
            x, chosen = args[0], args[1]
            for expert in range(8):
                rows = x[(chosen == expert).any(-1)]
                mixed = rows @ experts.gate_up_proj[expert] + experts.gate_up_proj_bias[expert]
                gate, up = mixed[:, ::2].clamp(max=7), mixed[:, 1::2].clamp(-7, 7)
                seen.append((up + 1) * gate * torch.sigmoid(1.702 * gate))

        hooks.append(experts.register_forward_pre_hook(down_inputs))
    with torch.no_grad():
        model(text)
    for hook in hooks:
        hook.remove()
    return seen


def brute_force(inputs: Tensor) -> Tensor:
    return torch.einsum("ti,tj->ij", inputs.double(), inputs.double()).float() / len(inputs)


def assert_close(got: Tensor, want: Tensor) -> None:
    assert (got - want).abs().max() < 1e-4 * want.abs().max()


def test_hessians_are_those_of_transformers_activations() -> None:
    """Also of the last layer, so the forward in front of it is transformers' too."""
    recorder = Recorder()
    text = torch.tensor(tokens(8 * 64, seed=3)).view(8, 64)
    converted(source(), solver=recorder, text=text)
    inputs = inputs_in_transformers(source().model, text)
    assert len(recorder.hessians) == len(inputs) == 2 * (3 + 8)
    assert min(map(len, inputs)) >= 64  # as many tokens as features, for each expert
    for got, seen in zip(recorder.hessians, inputs, strict=True):
        assert_close(got, brute_force(seen))


def test_an_expert_with_few_tokens_takes_the_mean_of_all_for_the_rest() -> None:
    recorder = Recorder()
    text = TEXT[:1, :3]
    converted(source(), solver=recorder, text=text)
    inputs = inputs_in_transformers(source().model, text)[3:11]
    assert 0 in map(len, inputs) and max(map(len, inputs)) < 64
    mean = brute_force(torch.cat(inputs))
    for got, seen in zip(recorder.hessians[3:11], inputs, strict=True):
        own = brute_force(seen) if len(seen) else 0
        share = len(seen) / 64
        assert_close(got, share * own + (1 - share) * mean)


def test_layers_see_what_quantized_layers_put_out() -> None:
    """Recorded with everything in front replaced by what was converted, as transformers has it."""
    done = everything()
    last = "model.layers.1.mlp.experts.7.down_proj"
    recorder = Recorder()
    redone = converted(
        source(),
        solver=recorder,
        text=TEXT,
        done={name: parts for name, parts in done.items() if name != last},
    )
    assert list(redone) == [last]
    model = transformers_model(FIELDS, 0)
    state = model.state_dict()
    for layer in source().names.layers:
        for linear in (*layer.qkv, layer.attention_out, *layer.gate_up, *layer.down):
            shape = linear.in_features, linear.out_features
            weight = dequantize(parse(linear.name, done[linear.name], *shape)).float()
            if ".experts." in linear.name:
                stack, expert, part = linear.name.rsplit(".", 2)
                state[f"{stack}.{part}"][int(expert)] = weight
            else:
                state[f"{linear.name}.weight"].copy_(weight.t())
    seen = inputs_in_transformers(model, TEXT)
    own, mean = brute_force(seen[-1]), brute_force(torch.cat(seen[-8:]))
    share = min(1, len(seen[-1]) / 64)
    assert_close(recorder.hessians[0], share * own + (1 - share) * mean)


def test_everything_is_valid_exl2_with_shared_permutations() -> None:
    done = everything()
    order: list[str] = []
    for layer in source().names.layers:
        linears = (*layer.qkv, layer.attention_out, *layer.gate_up, *layer.down)
        order += [linear.name for linear in linears]
        for linear in linears:
            matrix = parse(linear.name, done[linear.name], linear.in_features, linear.out_features)
            assert matrix.q_invperm is not None
        witness = dequantized(done[linear.name], linear.in_features)
        assert torch.equal(dequantize(matrix), witness)
        for shared in (layer.qkv, layer.gate_up):
            perms = [done[linear.name]["q_invperm"] for linear in shared]
            assert all(torch.equal(perms[0], perm) for perm in perms)
            assert not torch.equal(perms[0].sort().values, perms[0])
    assert list(done) == order


@given(st.data())
@settings(max_examples=5, deadline=None)
def test_going_on_gives_the_same_bits(data: st.DataObject) -> None:
    """From any point, and with any set of matrices there already."""
    whole = everything()
    names = list(whole)
    if data.draw(st.booleans()):
        there = set(names[: data.draw(st.integers(0, len(names)))])
    else:
        there = data.draw(st.sets(st.sampled_from(names)))
    rest = converted(source(), done={name: whole[name] for name in there})
    assert list(rest) == [name for name in names if name not in there]
    for name, parts in rest.items():
        assert parts.keys() == whole[name].keys()
        assert all(torch.equal(parts[part], whole[name][part]) for part in parts)


@cache
def everything() -> dict[str, Parts]:
    return converted(source())


def test_a_killed_run_has_what_it_yielded() -> None:
    whole = everything()
    steps = calibrate(source(), ALL_GPTQ, TEXT, CPU, TorchSolver(), lambda *_: {}, lambda _: None)
    for linear, parts in islice(steps, 15):
        assert all(torch.equal(parts[part], whole[linear.name][part]) for part in parts)


def test_what_the_recipe_does_not_calibrate_is_the_callers() -> None:
    """MXFP4 as published and plain matrices go through `plain`, and into what comes after."""
    of = source(seed=1)
    generator = torch.Generator().manual_seed(0)
    for layer in of.names.layers:
        for linear in layer.gate_up:
            shape = linear.out_features, linear.in_features // 32
            blocks = torch.randint(0, 256, (*shape, 16), generator=generator, dtype=torch.uint8)
            scales = torch.randint(121, 125, shape, generator=generator, dtype=torch.uint8)
            of.published[linear.name] = mxfp4.Mxfp4Matrix(blocks, scales)
            stack, expert, part = linear.name.rsplit(".", 2)
            of.state[f"{stack}.{part}"][int(expert)] = mxfp4.dequantize(of.published[linear.name])
    recorder = Recorder()
    recipe = Recipe(name="mixed", gate_up=How(method="mxfp4"), down=GPTQ[4])
    done = converted(of, recipe, solver=recorder)
    assert set(done["model.layers.1.mlp.experts.0.gate_up_proj"]) == {"blocks", "scales"}
    assert set(done["model.layers.1.self_attn.q_proj"]) == {"weight"}
    seen = inputs_in_transformers(of.model, TEXT)[11 + 3 :]
    assert len(recorder.hessians) == 2 * 8
    index = max(range(8), key=lambda expert: len(seen[expert]))
    assert len(seen[index]) >= 64
    assert_close(recorder.hessians[8 + index], brute_force(seen[index]))
    calibrated = converted(of, Recipe(name="experts", gate_up=GPTQ[4], down=GPTQ[4]))
    assert "q_weight" in calibrated["model.layers.1.mlp.experts.0.gate_up_proj"]


@pytest.mark.parametrize("bits", [3, 4])
@pytest.mark.parametrize("group", [32, 64])
def test_gptq_leaves_less_error_in_the_output_than_rounding(bits: int, group: int) -> None:
    """On inputs that the Hessian has not seen, too."""
    torch.manual_seed(0)
    weight = torch.randn(160, 48) * 0.05
    mixing = torch.randn(40, 160) * torch.randn(160).exp()
    x = torch.randn(2000, 40) @ mixing + 0.3 * torch.randn(2000, 160)
    hessian = x[:1000].t() @ x[:1000] / 1000
    solved = TorchSolver().prepare(hessian).solve(weight.clone(), bits, group)
    errors = [
        dequantize(parse("w", parts, 160, 48)).float() - weight
        for parts in (solved, quantize(weight, bits, group))
    ]
    calibrated, rounded = (weighted_error(error, hessian) for error in errors)
    assert calibrated < 0.5 * rounded
    unseen, unseen_rounded = ((x[1000:] @ error).square().sum() for error in errors)
    assert unseen < 0.5 * unseen_rounded


@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6, 8])
def test_scales_found_are_no_worse_than_the_widest(bits: int) -> None:
    torch.manual_seed(bits)
    x = torch.randn(64, 24) * torch.rand(24) * 0.1
    steps, scale_max = gptq.find_scales(x, bits)
    assert steps.min() >= 1 and steps.max() <= 16 and scale_max.dtype == torch.float16
    zero = 1 << (bits - 1)

    def error(scales: Tensor) -> float:
        rounded = (x / scales).round().clamp(-zero, zero - 1) * scales
        return (rounded - x).square().sum().item()

    scales = gptq.scales_of(steps, scale_max)
    widest = (x.abs().max() / (zero - 0.5)).half()
    fitting = (16 * (x.abs().amax(0) / x.abs().max()).sqrt()).ceil().clamp(1, 16)
    assert error(scales) <= error(gptq.scales_of(fitting, widest)) * 1.001


def test_nothing_but_zeros_is_quantized_to_zeros() -> None:
    solved = TorchSolver().prepare(torch.eye(64)).solve(torch.zeros(64, 8), 4, 32)
    assert not dequantize(parse("w", solved, 64, 8)).any()


def test_activations_that_are_not_finite_are_refused() -> None:
    of = TinySource(transformers_model(FIELDS, 0), source().config)
    of.state["model.layers.0.self_attn.v_proj.bias"].fill_(torch.inf)
    with pytest.raises(CalibrationError, match=r"in front of model\.layers\.0\.self_attn\.o_proj"):
        converted(of)


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what to do without a GPU")
def test_without_a_gpu_the_solver_says_so() -> None:
    with pytest.raises(CalibrationError, match="torch finds none: convert on a machine with one"):
        Exllamav2Solver()


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        (ModuleNotFoundError("no", name="exllamav2"), "there is no exllamav2: pip install"),
        (OSError("CUDA_HOME is not set"), "does not load .CUDA_HOME is not set.: .* nvcc"),
    ],
)
def test_without_a_working_exllamav2_the_solver_says_so(
    monkeypatch: pytest.MonkeyPatch, failure: Exception, message: str
) -> None:
    def find_spec(_: object, name: str, *_args: object) -> None:
        if name.partition(".")[0] == "exllamav2":
            torch.set_num_threads(1)  # as importing it does
            raise failure

    finder = type("Finder", (), {"find_spec": find_spec})()
    monkeypatch.setattr("sys.meta_path", [finder, *__import__("sys").meta_path])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    num_threads = torch.get_num_threads()
    with pytest.raises(CalibrationError, match=message):
        Exllamav2Solver()
    assert torch.get_num_threads() == num_threads
