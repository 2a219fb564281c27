"""GPTQ: quantize a matrix row by row, each row taking up the errors of those before it.

What is kept small is the error of the products with the inputs that were seen, `tr(E' H E)` for an
error E `[in, out]` of the weights and the Hessian H, the mean of `x x'` over inputs x `[in]`
(Frantar et al., 2022). exllamav2's AdaptiveGPTQ does it for EXL2.
"""

from typing import Any, Protocol

import torch
from torch import Tensor, nn

from inkling.errors import InklingError

# Scales tried for a group, relative to the one that just reaches its largest weight, and steps tried
# for a column, relative to the one that just reaches its own: those of `exl2.quantize`.
_GROUP_FACTORS: list[float] = torch.linspace(0.78, 1.14, 13).tolist()
_STEP_OFFSETS = (-2.0, -1.0, 0.0, 1.0)
# Below this, q_scale_max / 256 vanishes in fp16.
_SMALLEST_SCALE_MAX = 2.0**-15


class CalibrationError(InklingError):
    """A calibrated recipe cannot be carried out."""


class Prepared(Protocol):
    """A Hessian made ready. Matrices that share it get the same `q_invperm`."""

    def solve(self, weight: Tensor, bits: int, group_size: int) -> dict[str, Tensor]:
        """EXL2 tensors (`q_weight`, `q_scale`, `q_scale_max`, `q_groups`, `q_invperm`) of the fp32
        `weight` `[in, out]`."""
        ...


class Solver(Protocol):
    """Makes Hessians ready. The same bits each time, or what is resumed would differ."""

    def prepare(self, hessian: Tensor) -> Prepared:
        """Of a Hessian fp32 `[in, in]`, whatever its scale.

        Raises CalibrationError for one that cannot be inverted.
        """
        ...


class Exllamav2Solver:
    """AdaptiveGPTQ of exllamav2 0.3, on the first GPU, where Hessians and weights must lie.

    Columns must come in 32s, as gpt-oss's do: it pads others.
    """

    def __init__(self) -> None:
        """Load exllamav2, which builds its extension the first time: minutes.

        Raises CalibrationError, which says what to do, without a GPU and where that fails.
        """
        if not torch.cuda.is_available():
            raise CalibrationError(
                "Calibration runs on a GPU and torch finds none: convert on a machine with one, or"
                " choose a recipe without gptq."
            )
        self._gptq, self._params = _load()

    def prepare(self, hessian: Tensor) -> Prepared:
        """See `Solver`."""
        # It reads the shape of a layer here, its weights only in `reuse_h`.
        gptq = self._gptq(_linear(hessian.new_zeros(len(hessian), 1)))
        # Its damping has a smallest value, which is nothing to inputs of this size.
        gptq.hessian = hessian / hessian.diagonal().mean()
        gptq.num_batches = 1
        try:
            gptq.prepare()
        except ValueError as error:
            raise CalibrationError(
                f"The calibration text does not determine the weights ({error}): calibrate on more,"
                " or choose a recipe without gptq."
            ) from error
        return _Exllamav2Prepared(self._gptq, self._params, gptq)


class _Exllamav2Prepared:
    def __init__(self, gptq: Any, params: Any, first: Any) -> None:
        self._gptq = gptq
        self._params = params
        self._first = first

    # `pack` changes what `quantize` made in this mode.
    @torch.inference_mode()
    def solve(self, weight: Tensor, bits: int, group_size: int) -> dict[str, Tensor]:
        """See `Prepared`."""
        params = self._params(group_size, [bits], [1], 4)
        gptq = self._gptq(_linear(weight))
        gptq.reuse_h(self._first)
        gptq.configure(params.group_size, params.bits, params.bits_prop, params.scale_bits)
        gptq.quantize(keep_qweight=True)
        packed: dict[str, Tensor] = gptq.pack("w", params)
        return {key.removeprefix("w."): tensor for key, tensor in packed.items()}


def find_scales(x: Tensor, bits: int) -> tuple[Tensor, Tensor]:
    """The steps fp32 `[columns]`, 1 to 16, and the `q_scale_max` fp16 `[]` of one group of weights
    `x` fp32 `[rows, columns]`: those tried with the least squared error.

    All are tried at once, since groups come one after another and each launch on a GPU takes time.
    """
    zero = 1 << (bits - 1)
    reach = x.abs().amax(0) / (zero - 0.5)
    factors = torch.tensor(_GROUP_FACTORS, device=x.device)
    maxima = (reach.max() * factors).clamp(_SMALLEST_SCALE_MAX, 65504).half()
    nearest = (16 * (reach / maxima[:, None]).sqrt()).round()
    offsets = torch.tensor(_STEP_OFFSETS, device=x.device)
    steps = (nearest + offsets[:, None, None]).clamp(1, 16)  # [offsets, factors, columns]
    scales = scales_of(steps, maxima[:, None])[:, :, None]
    rounded = (x / scales).round_().clamp_(-zero, zero - 1)
    errors, best_offsets = rounded.mul_(scales).sub_(x).square_().sum(2).min(0)
    best = errors.sum(1).argmin()
    return steps[:, best].gather(0, best_offsets[best][None])[0], maxima[best]


def scales_of(steps: Tensor, scale_max: Tensor) -> Tensor:
    """Scales as EXL2 rounds them, in fp32."""
    return ((steps * steps).half() * (scale_max * (1 / 256))).float()


class _Scales:
    """What AdaptiveGPTQ takes for the scales of a group, instead of its own AdaptiveQuantizer.

    That one adds errors up by atomics, in an order and now and then with a choice that differ from run
    to run. Trying several steps a column also leaves 3 to 6 % less error at 3 to 5 bits.
    """

    def __init__(self, bits: int, scale_bits: int) -> None:
        assert scale_bits == 4, "as the format has it"
        self._bits = bits
        self.maxq = float(2**bits - 1)
        self.qzero = float(2 ** (bits - 1))

    def find_params(self, x: Tensor) -> None:
        """Set `qscale` int16, `scale` fp32 (both `[columns]`) and `qscale_max` of weights
        `[rows, columns]`."""
        steps, self.qscale_max = find_scales(x, self._bits)
        self.scale = scales_of(steps, self.qscale_max)
        self.qscale = steps.short()


def _linear(weight: Tensor) -> nn.Linear:
    """A layer of `weight` `[in, out]`, as AdaptiveGPTQ takes matrices. Copies nothing."""
    linear = nn.Linear(1, 1, bias=False, device="meta")
    linear.weight = nn.Parameter(weight.contiguous().t(), requires_grad=False)
    return linear


def _load() -> tuple[Any, Any]:
    """The classes AdaptiveGPTQ and QParams."""
    num_threads = torch.get_num_threads()
    try:
        from exllamav2.conversion import adaptivegptq
        from exllamav2.conversion.qparams import QParams
    except ModuleNotFoundError as error:
        raise CalibrationError(
            f"Calibration needs exllamav2 and there is no {error.name}: pip install exllamav2, or"
            " choose a recipe without gptq."
        ) from error
    except Exception as error:  # a build fails in many ways
        raise CalibrationError(
            f"exllamav2 does not load ({error}): it builds itself with nvcc, so install the CUDA"
            f" toolkit {torch.version.cuda} and ninja, or choose a recipe without gptq."
        ) from error
    finally:
        torch.set_num_threads(num_threads)  # importing exllamav2 sets one for all of torch
    adaptivegptq.AdaptiveQuantizer = _Scales
    return adaptivegptq.AdaptiveGPTQ, QParams
