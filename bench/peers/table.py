"""The table: an engine's measurement as figures, and as one line."""

import statistics
from typing import Any

COLUMNS = (
    "decode tok/s 1.5k / 8k",
    "warm key TTFT p50 / p95 ms",
    "24 tokens p50 ms",
    "cold 1.5k / 8k ms",
    "after an edit above / a jump ms",
    "computed a key",
    "GPU MiB",
)


def figures(result: dict[str, Any]) -> dict[str, Any]:
    """What a measurement comes to. None: not measured, or the engine does not say."""
    timings = result["timings"]
    keys = timings.get("key", [])
    computed = [key["prompt"] - key["reused"] for key in keys if key["reused"] is not None]

    def ttft(kind: str, part: float) -> float | None:
        values = sorted(timing["ttft_ms"] for timing in timings.get(kind, []))
        return round(values[round(part * (len(values) - 1))], 2) if values else None

    return {
        "engine": result["engine"],
        "decode_tok_s": [result["decode_tok_s"].get(kind) for kind in ("cold", "cold long")],
        "key_ttft_ms": [ttft("key", 0.5), ttft("key", 0.95)],
        "tokens_24_ms": statistics.median(key["total_ms"] for key in keys) if keys else None,
        "cold_ms": [ttft("cold", 0.5), ttft("cold long", 0.5)],
        "edit_ms": [ttft("edit above", part) for part in (0, 0.5, 1)],
        "jump_ms": [ttft("jump", part) for part in (0, 0.5, 1)],
        "computed_a_key": statistics.median(computed) if computed else None,
        "gpu_mib": result["gpu_mib"],
        "loaded_s": result["loaded_s"],
        "num_keys": len(keys),
    }


def row(found: dict[str, Any]) -> str:
    """An engine's figures as a line of the table."""

    def show(value: float | None, digits: int = 1) -> str:
        return "-" if value is None else f"{value:.{digits}f}"

    cells = (
        found["engine"],
        " / ".join(show(rate, 0) for rate in found["decode_tok_s"]),
        " / ".join(show(value) for value in found["key_ttft_ms"]),
        show(found["tokens_24_ms"]),
        " / ".join(show(value) for value in found["cold_ms"]),
        f"{_span(found['edit_ms'])} / {_span(found['jump_ms'])}",
        show(found["computed_a_key"], 0),
        show(found["gpu_mib"], 0),
    )
    return f"| {' | '.join(cells)} |"


def _span(values: list[float | None]) -> str:
    """Least to most of [least, median, most]."""
    least, _, most = values
    return "-" if least is None or most is None else f"{least:.1f}-{most:.1f}"
