"""What a check on the GPU found, as a row of a table."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

import torch
from torch import Tensor

from inkling.engine.gpu.model import GpuModel


@dataclass(frozen=True)
class Found:
    """One check. `figures` are what was measured."""

    name: str
    is_ok: bool
    figures: Mapping[str, float | int | str | bool]

    def row(self) -> str:
        """For the table."""
        text = ", ".join(f"{key} {value}" for key, value in self.figures.items())
        return f"| {self.name:<58} | {'ok' if self.is_ok else 'FAILED':<6} | {text} |"

    def as_json(self) -> dict[str, object]:
        """For the last line."""
        return {**asdict(self), "figures": dict(self.figures)}


def compare_logits(name: str, got: Tensor, want: Tensor, is_edge: Tensor | None = None) -> Found:
    """Logits `[rows, vocab]` against a reference's: the KL divergence of the next token, and how
    often the likeliest token differs, with the largest lead the reference gave it then.

    `is_edge` bool `[rows]`: rows for which rounding may choose another expert. They are counted and
    their largest divergence is shown; they must be finite, and the rest of what is checked is of the
    others. Fails at KL median >= 1e-3, p99 >= 1e-2, NaN, or a token that differs although the
    reference's lead is more than twice the largest difference of that row's logits.
    """
    is_finite = bool(got.isfinite().all())
    got, want = got.float(), want.float()
    edge_figures: dict[str, float | int | str | bool] = {}
    if is_edge is not None:
        edge = _divergence(got[is_edge], want[is_edge])
        largest = f"{edge.max().item():.1e}" if len(edge) else "-"
        edge_figures = {"on a router's edge": len(edge), "their largest KL": largest}
        got, want = got[~is_edge], want[~is_edge]
    if not len(got):
        return Found(name, is_finite, {"rows": 0, **edge_figures})
    divergence = _divergence(got, want)
    two = want.topk(2).values
    lead = two[:, 0] - two[:, 1]
    differs = got.argmax(-1) != want.argmax(-1)
    rounding = (got - want).abs().amax(-1)
    figures: dict[str, float | int | str | bool] = {
        "rows": len(got),
        "KL median": f"{divergence.median().item():.1e}",
        "KL p99": f"{divergence.quantile(0.99).item():.1e}",
        "relative error": f"{((got - want).norm() / want.norm()).item():.1e}",
        "top-1 differs": int(differs.sum()),
        "largest lead of those": f"{lead[differs].max().item() if differs.any() else 0.0:.1e}",
        **edge_figures,
    }
    is_ok = (
        is_finite
        and divergence.median().item() < 1e-3
        and divergence.quantile(0.99).item() < 1e-2
        and not bool((differs & (lead > 2 * rounding)).any())
    )
    return Found(name, is_ok, figures)


def of_fused(model: GpuModel, found: Found) -> Found:
    """A check of the fused kernel, which fails where Triton serves in its place."""
    if model.max_rows > 1:
        return found
    return replace(found, is_ok=False, figures={**found.figures, "served by": "Triton"})


def _divergence(got: Tensor, want: Tensor) -> Tensor:
    """KL divergence of each row of fp32 logits from the reference's."""
    log_got, log_want = got.log_softmax(-1), want.log_softmax(-1)
    return (log_want.exp() * (log_want - log_got)).sum(-1)


def free() -> None:
    """Give what the last check took back to the GPU."""
    import gc

    gc.collect()
    torch.cuda.empty_cache()
