"""What the engine says while it starts."""

import time

import pytest

from inkling.engine.serve import _Loading


def test_a_slow_load_says_how_far_it_is_about_once_a_second(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    loading = _Loading()
    for seconds, done in [(5, 0), (5.8, 2), (6.25, 3), (6.5, 4), (7.25, 7), (7.5, 10)]:
        now = 100.0 + seconds
        loading(done * 10**9, 10 * 10**9)
    assert capsys.readouterr().err == (
        "inkling engine: loading, 30 % (2.4 GB/s)\ninkling engine: loading, 70 % (4.0 GB/s)\n"
    )
