"""Tables of side networks: which fields every variant changes, at both sizes, and the paper's figures beside them."""

from dataclasses import replace
from typing import Any

import pytest

from tests.training.side import SIDE_MODEL
from tests.training.tiny import RECIPE
from training.config.model import Recipe
from training.errors import SettingError
from training.recipes import find_recipe
from training.studies.ablation.side_variants import with_adapters_in, with_scaled_width, with_side
from training.studies.ablation.tables import find_table

SSV1 = find_recipe("tds_ssv1")
TINY = replace(RECIPE, model=SIDE_MODEL)


def changes(table: str, recipe: Recipe = SSV1) -> list[dict[str, Any]]:
    """Fields of the side network that each variant changes, after checking that it changes no others."""
    found = []
    for variant in find_table(table).variants:
        own = variant.change(recipe)
        before, after = (vars(each.model.adapters) for each in (recipe, own))
        assert replace(own, model=replace(own.model, adapters=recipe.model.adapters)) == recipe
        found.append({key: value for key, value in after.items() if value != before[key]})
    return found


def paper(table: str) -> list[float | None]:
    return [each.paper_accuracy("SSv1").top1 for each in find_table(table).variants]


@pytest.mark.parametrize(
    ("table", "changed", "top1"),
    [
        ("components", [{"td_adapter": "none", "num_local_frames": 1}, {"num_local_frames": 1}, {}],
         [58.1, 59.1, 59.4]),
        ("local_frames", [{"num_local_frames": 1}, {"num_local_frames": 3}, {}], [58.0, 58.5, 59.4]),
        ("alpha", [{"sme_alpha": 0.5}, {}, {"sme_alpha": 1.5}], [58.4, 59.4, 58.9]),
        ("difference", [{}, {"td_adapter": "conv"}, {"td_adapter": "direct"}], [59.4, 59.3, 57.3]),
        ("kernel", [{}, {"td_kernel": 5}, {"td_kernel": 7}], [59.4, 59.2, 58.8]),
        ("side_width", [{"side_width": 128}, {}, {"side_width": 512}], [57.4, 59.4, 58.2]),
        ("layers", [{"td_last_layer": 5}, {"td_first_layer": 6, "td_last_layer": 11}, {"td_last_layer": 11}],
         [None, None, None]),
    ],
)  # fmt: skip
def test_ablations_change_the_side_network_alone(
    table: str, changed: list[dict[str, Any]], top1: list[float | None]
) -> None:
    assert (changes(f"tds_{table}"), paper(f"tds_{table}")) == (changed, top1)


@pytest.mark.parametrize(
    ("width", "narrow", "wide"),
    [(320, 128, 512), (64, 26, 102), (512, 204, 816), (8, 3, 13), (240, 96, 384), (1, 1, 2)],
)
def test_widths_are_shares_of_the_recipes_that_heads_divide(width: int, narrow: int, wide: int) -> None:
    recipe = with_side(SSV1, side_width=width)
    found = [vars(with_scaled_width(recipe, share=share).model.adapters) for share in (0.4, 1.0, 1.6)]
    assert [side["side_width"] for side in found] == [narrow, width, wide]


def test_titles_tell_the_sizes_that_shares_came_to() -> None:
    assert [each.title for each in find_table("tds_side_width").variants] == [
        "d = 0.4 of the recipe's, 128 in the paper", "d = 1 of the recipe's, 320 in the paper",
        "d = 1.6 of the recipe's, 512 in the paper",
    ]  # fmt: skip
    titles = {
        table: [each.title for each in find_table(table).with_titles(TINY).variants]
        for table in ("tds_side_width", "tds_layers", "tds_kernel")
    }
    assert titles == {
        "tds_side_width": ["d = 3", "d = 8", "d = 13"],
        "tds_layers": ["layers 0 to 0", "layers 1 to 1", "layers 0 to 1"],
        "tds_kernel": ["k = 3", "k = 5", "k = 7"],
    }


def test_title_stays_where_the_tower_has_too_few_layers() -> None:
    clip = replace(SIDE_MODEL.clip, vision_layers=1)  # type: ignore[type-var]
    shallow = replace(TINY, model=replace(SIDE_MODEL, clip=clip))
    assert [each.title for each in find_table("tds_layers").with_titles(shallow).variants] == [
        "the first half", "layers 0 to 0", "layers 0 to 0",
    ]  # fmt: skip


def test_methods_are_compared_on_the_same_towers_and_videos() -> None:
    base = replace(find_recipe("tds_shapes"), num_shots=4)
    variants = find_table("tds_methods").variants
    recipes = [each.change(base) for each in variants]
    assert [(each.name, each.trains) for each in variants] == [
        ("vanilla", False), ("vificlip", True), ("dual_semantic", True), ("tds_open", True), ("tds_closed", True),
    ]  # fmt: skip
    assert [each.model.method for each in recipes] == ["vanilla", "vificlip", "dual_semantic", "tds", "tds"]
    assert [each.model.is_closed for each in recipes] == [False, False, False, False, True]
    assert {each.num_shots for each in recipes} == {4}
    assert [each.name for each in recipes] == ["tds_shapes", "vificlip_shapes", "demo", "tds_shapes", "tds_shapes"]


@pytest.mark.parametrize("rule", [with_scaled_width, with_adapters_in])
def test_recipe_without_a_side_network_is_refused(rule: Any) -> None:  # noqa: ANN401
    options = {"share": 1.0} if rule is with_scaled_width else {"part": "all"}
    with pytest.raises(
        SettingError, match="recipe 'tiny' has no side network to vary; start from one that has, such as tds_shapes"
    ):
        rule(RECIPE, **options)
