from xml.etree import ElementTree

from inkling.core import Usage
from inkling.evaluation.holes import Hole
from inkling.evaluation.plots import latency_plot, reuse_plot
from inkling.evaluation.replay import Key, Replay
from inkling.evaluation.sources import Source

SVG = "{http://www.w3.org/2000/svg}"


def replays() -> list[Replay]:
    hole = Hole("line", Source("a.py", "python", "x = 1\n"), 4, 5, True)
    first = Key("", "", "1", False, True, False, 120.0, "c1")
    second = Key("1", "1", "", True, False, False, 2.0, "c1")
    usages = {"c1": Usage(prompt_tokens=100, reused=75, completion_tokens=3)}
    return [Replay(hole, "patient", (first, second), usages)]


def test_each_key_is_a_step_and_each_call_a_dot() -> None:
    latency, reuse = (
        ElementTree.fromstring(plot(replays())) for plot in (latency_plot, reuse_plot)
    )
    curves = [it for it in latency.iter(f"{SVG}path") if it.get("fill") == "none"]
    assert [curve.get("d", "").count("L") for curve in curves] == [2, 0]
    [dot] = reuse.iter(f"{SVG}circle")
    quarter = next(it for it in reuse.iter(f"{SVG}text") if it.text == "75 %")
    assert float(dot.get("cy", "")) == float(quarter.get("y", "")) - 4


def test_a_picture_of_nothing_is_a_picture() -> None:
    for plot in (latency_plot, reuse_plot):
        ElementTree.fromstring(plot([]))
