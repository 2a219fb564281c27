"""Two pictures of replays, as SVG: how long a key waits, and how much of each prompt is reused."""

import math
from collections.abc import Sequence
from html import escape

from inkling.evaluation.replay import PACES, Replay

_WIDTH, _HEIGHT = 640, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 32, 40, 44
_COLOURS = {"patient": "#3b6fb5", "hasty": "#d0742c"}
# Readable on a page of either colour.
_INK = "#808080"


def latency_plot(replays: Sequence[Replay]) -> str:
    """For each pace, what share of the keys had their first text (or empty answer) after how long."""
    times = {
        pace: sorted(key.latency_ms for it in replays if it.pace == pace for key in it.keys)
        for pace in PACES
    }
    slowest = max((values[-1] for values in times.values() if values), default=1.0)
    decades = max(1, math.ceil(math.log10(max(slowest, 1.0))))

    def x(ms: float) -> float:
        return _x(math.log10(max(ms, 1.0)) / decades)

    marks = [_vertical(x(10**power), f"{10**power} ms") for power in range(decades + 1)]
    curves = []
    for pace, values in times.items():
        points = [(x(ms), _y(number / len(values))) for number, ms in enumerate(values, start=1)]
        curves.append(_curve([(_x(0), _y(0)), *points], _COLOURS[pace]))
    return _picture("Keys answered within a time", [*marks, *_shares(), *curves])


def reuse_plot(replays: Sequence[Replay]) -> str:
    """Of each model call, the share of its prompt found in the KV cache, by how much was typed."""
    longest = max((len(it.keys) for it in replays), default=1)
    steps = sorted({round(longest * part / 4) for part in range(5)})
    marks = [_vertical(_x(key / longest), f"key {key}") for key in steps]
    dots = []
    for it in replays:
        for number, key in enumerate(it.keys):
            usage = it.usages.get(key.call) if key.is_call else None
            if usage is not None and usage.prompt_tokens:
                at = _x(number / longest), _y(usage.reused / usage.prompt_tokens)
                dots.append(_dot(*at, _COLOURS[it.pace]))
    return _picture("Share of the prompt reused, of each model call", [*marks, *_shares(), *dots])


def _x(share: float) -> float:
    return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)


def _y(share: float) -> float:
    return _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)


def _shares() -> list[str]:
    """Lines at quarters of the whole."""
    return [
        f'<path d="M{_x(0):.1f} {_y(part):.1f}H{_x(1):.1f}" stroke="{_INK}" stroke-opacity="0.3"/>'
        + _words(_LEFT - 8, _y(part) + 4, f"{100 * part:.0f} %", "end")
        for part in (0, 0.25, 0.5, 0.75, 1)
    ]


def _vertical(x: float, label: str) -> str:
    line = f'<path d="M{x:.1f} {_y(0):.1f}V{_y(1):.1f}" stroke="{_INK}" stroke-opacity="0.3"/>'
    return line + _words(x, _HEIGHT - _BOTTOM + 18, label, "middle")


def _curve(points: Sequence[tuple[float, float]], colour: str) -> str:
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    return f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>'


def _dot(x: float, y: float, colour: str) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}" fill-opacity="0.6"/>'


def _words(x: float, y: float, text: str, anchor: str, colour: str = _INK) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text {place} fill="{colour}">{escape(text)}</text>'


def _picture(title: str, parts: Sequence[str]) -> str:
    names = [
        _words(_WIDTH - _RIGHT - 70 * number, 20, pace, "end", _COLOURS[pace])
        for number, pace in enumerate(reversed(PACES))
    ]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        'font-family="sans-serif" font-size="12">'
    )
    return "\n".join([head, _words(_LEFT, 20, title, "start"), *names, *parts, "</svg>", ""])
