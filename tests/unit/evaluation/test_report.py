import json

from inkling.core import Usage
from inkling.evaluation.holes import Hole
from inkling.evaluation.recall import Recall
from inkling.evaluation.replay import Key, Replay
from inkling.evaluation.report import as_text
from inkling.evaluation.results import WITH, WITHOUT, Answer, Results, percentiles
from inkling.evaluation.scores import score
from inkling.evaluation.sources import Source

ABOUT = {
    "holes_made": 2,
    "files": 5,
    "files_with_holes": 2,
    "repository": "shop",
    "seed": 0,
    "is_whole": True,
    "model": "demo model on cpu",
    "inkling": "0.1.0",
    "settings": {"prompt_tokens": 4096},
}


def hole(path: str) -> Hole:
    return Hole("line", Source(path, "python", "x = total\n"), 4, 9, has_suffix=True)


def answer(path: str, text: str, silence: str = "") -> Answer:
    return Answer(hole(path), text, silence, 10.0, 20.0, score(hole(path), text))


def results() -> Results:
    found = Results(dict(ABOUT), seed=0)
    found.recalls[WITH] = [Recall("a.py", 4, 3, 2, 1), Recall("b.py", 4, 4, 0, 0)]
    found.answers[WITH] = [answer("a.py", "total"), answer("b.py", "total")]
    found.answers[WITHOUT] = [answer("a.py", "total"), answer("b.py", "", "nothing to add")]
    keys = (
        Key("", "", "t", False, True, False, 80.0, "c"),
        Key("t", "t", "", True, False, False, 1, "c"),
    )
    found.replays = [Replay(hole("a.py"), "hasty", keys, {"c": Usage(prompt_tokens=9)})]
    return found


def line_of(text: str, start: str) -> list[str]:
    [line] = [line for line in text.split("\n") if line.startswith(start)]
    return line.split()


def test_the_table_says_what_the_figures_are() -> None:
    text = as_text(results())
    assert text.startswith("2 holes in 2 of 5 files of shop, seed 0\n")
    assert "with related code" in text
    assert "87.5 % (75.0 to 100.0)" in text
    assert line_of(text, "exact")[1:3] == ["100.0", "%"]
    assert line_of(text, "exact")[-3:] == ["(+0.0", "to", "+100.0)"]
    assert line_of(text, "flicker") == ["flicker", "0"]
    assert line_of(text, "correct text typed")[6:] == ["100.0", "%", "of", "1", "chars"]


def test_what_was_interrupted_is_told_as_far_as_it_is() -> None:
    found = results()
    found.about["is_whole"] = False
    found.answers, found.replays = {WITH: []}, []
    text = as_text(found)
    assert "seed 0, interrupted" in text
    assert "Completions" not in text
    assert "Typed key by key" not in text
    assert as_text(Results({**ABOUT, "model": ""}, seed=0)).endswith("no model, inkling 0.1.0\n")


def test_the_json_holds_every_hole_and_every_key() -> None:
    found = json.loads(json.dumps(results().as_json()))
    assert found["completions"][WITH]["all"]["exact"]["mean"] == 1
    assert found["difference"]["exact"]["mean"] == 0.5
    assert found["silences"][WITHOUT] == {"nothing to add": 1}
    assert [it["shown"] for it in found["holes"][WITHOUT]] == ["total", ""]
    assert found["holes"][WITH][0]["truth"] == "total"
    assert len(found["replays"][0]["keys"]) == 2
    assert found["recall"][WITH]["other_files_only"] == {
        "mean": 0.5,
        "low": None,
        "high": None,
        "count": 2,
    }


def test_percentiles_are_nearest_ranks() -> None:
    assert percentiles(range(101)) == {"p50": 50, "p95": 95}
    assert percentiles([]) is None
