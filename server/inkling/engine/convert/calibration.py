"""Calibrated conversion: layer by layer, each matrix quantized for the inputs it will really get.

Those inputs come from the matrices before it, already quantized: so errors do not pile up unseen.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from functools import cache
from typing import Protocol

import torch
from torch import Tensor

from inkling.engine import mxfp4
from inkling.engine.convert.gptq import CalibrationError, Solver
from inkling.engine.convert.recipe import How, Recipe
from inkling.engine.exl2.dequant import dequantize
from inkling.engine.exl2.format import parse
from inkling.engine.exl2.names import Linear, ModelNames, Vector
from inkling.engine.model.config import GptOssConfig
from inkling.engine.model.layer import (
    Routing,
    attend,
    gate,
    gates_first,
    mix,
    norm,
    project_qkv,
    query_blocks,
    rotation,
    route,
)
from inkling.engine.model.rope import inverse_frequencies

# The tensors of one matrix without its name: EXL2's (`q_weight`, ...), `blocks` and `scales` of MXFP4,
# or a plain `weight` `[out, in]`.
Parts = dict[str, Tensor]
Matrix = mxfp4.Mxfp4Matrix | Tensor
_Converted = Generator[tuple[Linear, Parts], None, list[Tensor]]


class Source(Protocol):
    """The weights to be converted."""

    @property
    def config(self) -> GptOssConfig: ...

    @property
    def names(self) -> ModelNames: ...

    def matrix(self, linear: Linear) -> Matrix:
        """As published: MXFP4, or floating-point `[in, out]`."""
        ...

    def vector(self, vector: Vector) -> Tensor:
        """Floating-point `[size]`."""
        ...


def calibrate(
    source: Source,
    recipe: Recipe,
    tokens: Tensor,
    device: torch.device,
    solver: Solver,
    plain: Callable[[Linear, Matrix], Parts],
    finished: Callable[[Linear], Parts | None],
) -> Iterator[tuple[Linear, Parts]]:
    """Convert the attention and the experts of all layers, in order; `tokens` int64 `[rows, length]`.

    What the recipe calibrates goes to `solver`, all else to `plain`. A matrix that `finished` has is
    not converted again but goes into the inputs of those after it, so that whoever goes on after a
    kill gets the same bits as without one. Embedding and head are the caller's.

    The residual stream lies in the CPU's memory, 4 bytes for each of tokens x hidden. The GPU holds one
    layer in fp32 and a Hessian of each of its experts: for gpt-oss-20b about 6 GB in all.

    Raises CalibrationError for activations that are not finite, and as the solver does.
    """
    run = _Calibration(source, recipe, tokens, device, solver, plain, finished)
    for index in range(source.config.num_layers):
        yield from run.attention(index)
        yield from run.experts(index)


class _Rows:
    """The residual stream of all calibration text: fp32 `[rows, length, hidden]`, on the CPU."""

    def __init__(self, embedding: Tensor, tokens: Tensor, device: torch.device) -> None:
        """Rows of `embedding` `[vocab, hidden]`."""
        self._device = device
        self._states = torch.empty(
            (*tokens.shape, embedding.shape[1]), pin_memory=device.type == "cuda"
        )
        for state, row in zip(self._states, tokens, strict=True):
            state.copy_(embedding[row])

    def __iter__(self) -> Iterator[Tensor]:
        """One row `[length, hidden]` after another, on the device."""
        for state in self._states:
            yield state.to(self._device)

    def add(self, change: Callable[[Tensor], Tensor]) -> None:
        """Add to each row `[length, hidden]` what `change` makes of it."""
        for state, x in zip(self._states, self, strict=True):
            state.copy_(x + change(x))

    def hessian(self, inputs: Callable[[Tensor], Tensor]) -> Tensor:
        """The mean of x x' over all `inputs` x `[.., in]` made of the rows: fp32 `[in, in]`."""
        total, count = torch.zeros((), device=self._device), 0
        for row in self:
            x = inputs(row)
            total = total + x.t() @ x
            count += len(x)
        return total / count


class _Calibration:
    def __init__(
        self,
        source: Source,
        recipe: Recipe,
        tokens: Tensor,
        device: torch.device,
        solver: Solver,
        plain: Callable[[Linear, Matrix], Parts],
        finished: Callable[[Linear], Parts | None],
    ) -> None:
        self._source = source
        self._recipe = recipe
        self._device = device
        self._solver = solver
        self._plain = plain
        self._finished = finished
        self._config = config = source.config
        # As published even where the recipe quantizes it: its error is no layer's to make up for.
        embedding = source.matrix(source.names.embedding)
        assert isinstance(embedding, Tensor), "only experts are published as MXFP4"
        self._rows = _Rows(embedding.t(), tokens, device)
        length = tokens.shape[1]
        positions = torch.arange(length, device=device)
        inv_freq, rope_factor = inverse_frequencies(config)
        self._rotation = rotation(positions, inv_freq.to(device), rope_factor, torch.float32)
        self._full = query_blocks(positions, 0, 0, window=length)
        self._sliding = query_blocks(positions, 0, 0, config.sliding_window)

    def attention(self, index: int) -> Iterator[tuple[Linear, Parts]]:
        """Convert the attention of a layer and let the rows pass it."""
        names, how = self._source.names.layers[index], self._recipe.attention
        blocks = self._sliding if self._config.is_sliding[index] else self._full
        sinks, out_bias = self._vector(names.sinks), self._vector(names.attention_out.bias)
        normed = self._norm(names.input_norm)

        weights = yield from self._convert(names.qkv, how, lambda: self._rows.hessian(normed))
        qkv = torch.cat(weights, 1)
        bias = torch.cat([self._vector(linear.bias) for linear in names.qkv])

        def attended(x: Tensor) -> Tensor:
            heads = project_qkv(normed(x), qkv, bias, self._rotation, self._config)
            return attend(*heads, blocks, sinks)

        (out,) = yield from self._convert(
            (names.attention_out,), how, lambda: self._rows.hessian(attended)
        )
        self._rows.add(lambda x: torch.addmm(out_bias, attended(x), out))

    def experts(self, index: int) -> Iterator[tuple[Linear, Parts]]:
        """Convert the experts of a layer and let the rows pass them."""
        names, config = self._source.names.layers[index], self._config
        router = _dense(self._source.matrix(names.router), self._device)
        router_bias = self._vector(names.router.bias)
        gate_up_bias = [gates_first(self._vector(linear.bias)) for linear in names.gate_up]
        down_bias = [self._vector(linear.bias) for linear in names.down]
        normed = self._norm(names.post_attention_norm)

        # One Hessian for all experts, of all tokens: so they share one permutation of their input.
        weights = yield from self._convert(
            names.gate_up, self._recipe.gate_up, lambda: self._rows.hessian(normed)
        )
        # Taken from the list one by one: a second copy of all would be 2 GB.
        gate_up = [gates_first(weights.pop(0)) for _ in names.gate_up]

        def gated(x: Tensor) -> tuple[Routing, Sequence[Tensor]]:
            routing = route(normed(x), router, router_bias, config)
            return routing, gate(routing, gate_up, gate_up_bias, config)

        @cache
        def hessians() -> Tensor:
            return _expert_hessians(map(gated, self._rows), config, self._device)

        def hessian_of(expert: int) -> Callable[[], Tensor]:
            return lambda: hessians()[expert]

        down: list[Tensor] = []
        for expert, linear in enumerate(names.down):
            down += yield from self._convert((linear,), self._recipe.down, hessian_of(expert))
        self._rows.add(lambda x: mix(*gated(x), down, down_bias))

    def _convert(
        self, linears: Sequence[Linear], how: How, hessian: Callable[[], Tensor]
    ) -> _Converted:
        """Convert matrices that share their input, whose `hessian` is made once it is needed.

        Returns their new weights, fp32 `[in, out]` on the device.
        """
        prepare = cache(lambda: self._solver.prepare(_checked(hessian(), linears[0])))
        weights = []
        for linear in linears:
            parts = self._finished(linear)
            if parts is None:
                matrix = self._source.matrix(linear)
                if how.method == "gptq" and how.exl2 is not None:
                    parts = prepare().solve(_dense(matrix, self._device), *how.exl2)
                else:
                    parts = self._plain(linear, matrix)
                yield linear, parts
            weights.append(_weight(linear, parts, self._device))
        return weights

    def _norm(self, vector: Vector) -> Callable[[Tensor], Tensor]:
        weight, eps = self._vector(vector), self._config.rms_norm_eps
        return lambda x: norm(x, weight, eps)

    def _vector(self, vector: Vector) -> Tensor:
        return self._source.vector(vector).to(self._device, torch.float32)


def _expert_hessians(
    gated: Iterator[tuple[Routing, Sequence[Tensor]]], config: GptOssConfig, device: torch.device
) -> Tensor:
    """The Hessian `[experts, in, in]` of each expert's down, of the tokens that were sent to it.

    With fewer tokens than features, a Hessian says nothing of the directions it has not seen, and
    GPTQ would push its errors there. So what is missing to one token a feature is made up by mean
    tokens of all experts.
    """
    size = config.intermediate_size
    totals = torch.zeros(config.num_experts, size, size, device=device)
    counts = [0] * config.num_experts
    for routing, inputs in gated:
        for expert, x in zip(routing.experts, inputs, strict=True):
            totals[expert].addmm_(x.t(), x)
            counts[expert] += len(x)
    mean = totals.sum(0) / sum(counts)
    for total, count in zip(totals, counts, strict=True):
        missing = max(0, size - count)
        total.add_(mean, alpha=missing).div_(count + missing)
    return totals


def _checked(hessian: Tensor, linear: Linear) -> Tensor:
    if not bool(hessian.isfinite().all()):
        raise CalibrationError(
            f"The activations in front of {linear.name} are not finite: the source is damaged, so"
            " download it again."
        )
    return hessian


def _dense(matrix: Matrix, device: torch.device) -> Tensor:
    """fp32 `[in, out]` on the device."""
    if isinstance(matrix, mxfp4.Mxfp4Matrix):
        there = mxfp4.Mxfp4Matrix(matrix.blocks.to(device), matrix.scales.to(device))
        return mxfp4.dequantize(there).contiguous()
    return matrix.to(device, torch.float32).contiguous()


def _weight(linear: Linear, parts: Parts, device: torch.device) -> Tensor:
    """What a converted matrix is to those who run it: fp32 `[in, out]` on the device."""
    shape = linear.in_features, linear.out_features
    if "q_weight" in parts:
        there = {part: tensor.to(device) for part, tensor in parts.items()}
        return dequantize(parse(linear.name, there, *shape)).float()
    if "blocks" in parts:
        return _dense(mxfp4.parse(linear.name, parts["blocks"], parts["scales"], *shape), device)
    return _dense(parts["weight"].t(), device)
