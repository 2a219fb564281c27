"""Recipes are tables: the shipped ones, and what a user's own may say."""

from pathlib import Path

import pytest

from inkling.engine.convert.plan import make_plan
from inkling.engine.convert.recipe import RecipeError, load_recipe, recipe_names
from inkling.engine.exl2.names import model_names
from inkling.engine.gpu.synthetic import GPT_OSS_20B

# Bytes of the whole model in ENGINE's table (exact dims); small is between its 3.0 and 4.0 bits.
SIZES = {"exact": 16.78e9, "balanced": 14.39e9}


def test_the_shipped_recipes() -> None:
    assert recipe_names() == ["balanced", "exact", "native", "small"]
    assert [load_recipe(name).is_calibrated for name in recipe_names()] == [False] * 3 + [True]


@pytest.mark.parametrize("name", SIZES)
def test_sizes_of_gpt_oss_20b_are_within_2_percent_of_the_design(name: str) -> None:
    plan = make_plan(model_names(GPT_OSS_20B), load_recipe(name))
    assert plan.nbytes == pytest.approx(SIZES[name], rel=0.02)


def test_native_and_small_are_as_large_as_promised() -> None:
    native, small = (
        make_plan(model_names(GPT_OSS_20B), load_recipe(name)).nbytes
        for name in ("native", "small")
    )
    assert native == pytest.approx(12.3e9, rel=0.02)
    assert 9.04e9 < small < 11.51e9  # 3.0 to 4.0 bits a weight


def test_a_users_own_recipe(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        'description = "mine"\ndown = { method = "nearest", bits = 4, group = 128 }\n'
        'gate_up = { method = "exact", bits = 6, group = 32 }\n'
    )
    recipe = load_recipe(str(path))
    assert recipe.name == "mine"
    assert str(recipe.down) == "nearest 4-bit g128"
    assert recipe.head.exl2 is None
    assert recipe.table["gate_up"] == {"method": "exact", "bits": 6, "group": 32}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            'down = { method = "nearest", bits = 7, group = 32 }',
            "at down: bits must be one of 2, 3,",
        ),
        (
            'down = { method = "nearest", bits = 4, group = 48 }',
            "at down: group must be one of 32,",
        ),
        ('down = { method = "exact", bits = 5, group = 32 }', "exact is for bits = 6, group = 32"),
        ('down = { method = "mxfp4", bits = 4 }', "mxfp4 takes no bits"),
        ('head = { method = "exact", bits = 6, group = 32 }', "only experts can be exact"),
        ('head = { method = "gptq", bits = 4, group = 32 }', "only attention and experts"),
        ('down = { method = "magic" }', "at down.method"),
        ('feet = { method = "plain" }', "at feet"),
        ("down = ", "is no TOML table"),
        ('name = "other"', "is no TOML table"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "odd.toml"
    path.write_text(text)
    with pytest.raises(RecipeError) as caught:
        load_recipe(str(path))
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_recipe_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(
        RecipeError, match="There is no recipe best: choose balanced, exact, native"
    ):
        load_recipe("best")
    with pytest.raises(RecipeError, match="cannot be read"):
        load_recipe(str(tmp_path / "none.toml"))
