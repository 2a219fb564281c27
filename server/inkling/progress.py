"""How far a long job is, in one line of the terminal that is painted over."""

import sys
import time
from collections.abc import Callable

REDRAW_S = 0.2
_WIDTH = 24
# Where nobody watches (a log, a pipe) a line is written now and then instead.
_LINE_S = 30.0


class Progress:
    """A bar with the time left. `show` turns done and all units into words (`1.2 of 3.4 GB`)."""

    def __init__(self, label: str, show: Callable[[float, float], str]) -> None:
        self._label = label
        self._show = show
        self._is_terminal = sys.stderr.isatty()
        self._started: tuple[float, float] | None = None  # time and units; the first call sets it
        self._drawn = 0.0

    def __call__(self, done: float, total: float) -> None:
        """Say how far it is; the first call's units count as there already."""
        now = time.monotonic()
        if self._started is None:
            self._started = now, done
        interval = REDRAW_S if self._is_terminal else _LINE_S
        if now - self._drawn < interval and done < total:
            return
        self._drawn = now
        share = done / total if total else 1.0
        words = f"{100 * share:3.0f} %  {self._show(done, total)}{self._left(now, done, total)}"
        if not self._is_terminal:
            sys.stderr.write(f"{self._label} {words}\n")
            return
        full = round(_WIDTH * share)
        bar = "━" * full + "╌" * (_WIDTH - full)
        sys.stderr.write(f"\r\x1b[K{self._label} {bar} {words}")
        sys.stderr.flush()

    def close(self) -> None:
        """End the line."""
        if self._is_terminal and self._started is not None:
            sys.stderr.write("\n")

    def _left(self, now: float, done: float, total: float) -> str:
        assert self._started is not None, "set by the call"
        seconds, units = now - self._started[0], done - self._started[1]
        if done >= total or seconds < 1 or units <= 0:
            return ""
        left = (total - done) * seconds / units
        return f", {left / 60:.0f} min left" if left >= 90 else f", {left:.0f} s left"
