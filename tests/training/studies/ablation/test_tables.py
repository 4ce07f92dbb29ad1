"""Tables: which fields every variant changes, and the paper's figures beside them."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from pydantic import TypeAdapter

from tests.training.tiny import MODEL
from training.config.adapters import TemporalEmbeddingConfig
from training.config.model import Recipe
from training.errors import SettingError
from training.recipes import find_recipe
from training.studies.ablation.other_methods import COUNTERPARTS, OtherMethod
from training.studies.ablation.plan import check_distinct
from training.studies.ablation.tables import TABLES, find_table

RECIPE = find_recipe("dual_semantic")
FINE_TUNED = find_recipe("vificlip_base_to_novel")
VIFI = {
    "vifi_fusion": "Rasheed et al. 2023, Table 5",
    "vifi_base_to_novel": "Rasheed et al. 2023, base to novel",
    "vifi_few_shot": "Rasheed et al. 2023, few-shot",
}

SIDE = find_recipe("tds_ssv1")
TDS = {
    "tds_components": "Wang and Wang, Table 3a",
    "tds_local_frames": "Wang and Wang, Table 3b",
    "tds_alpha": "Wang and Wang, Table 3c",
    "tds_difference": "Wang and Wang, Table 3d",
    "tds_kernel": "Wang and Wang, Table 3e",
    "tds_side_width": "Wang and Wang, Table 3f",
    "tds_layers": "Wang and Wang, Table 4",
    "tds_methods": "Wang and Wang, TDS-CLIP",
}


def flatten(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def changes(table: str, recipe: Recipe = RECIPE) -> dict[str, dict[str, Any]]:
    """Fields that each variant changes, by the last part of their names."""
    base = dict(flatten(TypeAdapter(Recipe).dump_python(recipe)))
    found: dict[str, dict[str, Any]] = {}
    for variant in find_table(table).variants:
        own = dict(flatten(TypeAdapter(Recipe).dump_python(variant.change(recipe))))
        found[variant.name] = {
            key.rsplit(".", 1)[-1]: value for key, value in own.items() if key not in base or base[key] != value
        }
    return found


def paper(table: str) -> list[tuple[float | None, ...]]:
    rows = [[variant.paper_accuracy(each) for each in ("HMDB51", "UCF101")] for variant in find_table(table).variants]
    return [(hmdb51.top1, hmdb51.top5, ucf101.top1, ucf101.top5) for hmdb51, ucf101 in rows]


def test_tables_are_those_of_the_paper() -> None:
    assert {name: table.source for name, table in TABLES.items()} == {
        "components": "Fig. 5a", "frames": "Fig. 5b", "global_prompts": "Fig. 5c", "beta": "Table 3",
        "residual": "Table 4", "prefixes": "Table 5", "few_shot": "Table 7", "cost": "Fig. 6",
        **VIFI, **TDS,
    }  # fmt: skip


def test_components_are_added_one_by_one() -> None:
    assert changes("components") == {
        "baseline": {"kind": "temporal_embedding", "supervision": "english"},
        "tp": {"beta": "none", "supervision": "english"},
        "tp_beta": {"supervision": "english"},
        "full": {},
    }
    assert [row[::2] for row in paper("components")] == [(61.3, 81.8), (66.8, 90.0), (70.3, 92.7), (73.2, 95.8)]


def test_frames_and_global_prompts_change_one_number() -> None:
    # 16 frames and 8 global prompts are the recipe's own.
    assert list(changes("frames").values()) == [{"num_frames": 4}, {"num_frames": 8}, {}, {"num_frames": 32}]
    assert paper("frames")[1:3] == [(72.50, None, 95.33, None), (73.21, None, 95.81, None)]
    assert changes("global_prompts") == {
        f"global_prompts_{count}": {} if count == 8 else {"num_global_prompts": count} for count in (5, 8, 10, 12)
    }


def test_beta_networks_change_beta_alone() -> None:
    assert changes("beta") == {
        "mlp": {"beta": "mlp"}, "lstm": {"beta": "lstm"}, "transformer": {"beta": "transformer"},
        "tada": {"beta": "tada"}, "c3d": {"beta": "c3d", "beta_units": 1}, "r2plus1d": {},
    }  # fmt: skip
    assert paper("beta") == [
        (70.1, 91.3, 92.6, 96.2), (71.0, 91.8, 93.9, 97.0), (71.8, 92.5, 94.4, 97.5),
        (72.3, 92.9, 94.8, 98.2), (72.8, 93.5, 94.6, 98.2), (73.2, 93.6, 95.8, 99.0),
    ]  # fmt: skip


def test_residual_is_switched_off_with_the_start_at_zero() -> None:
    off = {"residual": False, "zero_init_beta": False}
    assert changes("residual") == {
        "tada_no_residual": {"beta": "tada", **off}, "tada": {"beta": "tada"},
        "c3d_no_residual": {"beta": "c3d", "beta_units": 1, **off}, "c3d": {"beta": "c3d", "beta_units": 1},
        "r2plus1d_no_residual": off, "r2plus1d": {},
    }  # fmt: skip
    assert paper("residual")[::2] == [
        (70.5, 92.0, 95.1, 97.8), (71.2, 92.5, 92.9, 97.4), (70.0, 90.9, 93.0, 96.0),
    ]  # fmt: skip
    assert paper("residual")[1::2] == paper("beta")[3:]


def test_prefixes_change_the_sentence() -> None:
    assert changes("prefixes") == {
        "a_video": {"template_en": "a video about {}."},
        "this_is_a_video": {},
        "the_video_is": {"template_en": "the video is about {}."},
    }
    assert paper("prefixes") == [(73.1, 93.7, 95.8, 98.8), (73.2, 93.6, 95.8, 99.0), (72.9, 93.6, 95.6, 98.9)]


def test_few_shot_crosses_shots_and_components() -> None:
    components, found = changes("components"), changes("few_shot")
    assert found == {
        f"{name}_k{count}": {**own, "num_shots": count} for name, own in components.items() for count in (2, 4, 8, 16)
    }
    figures = [row[::2] for row in paper("few_shot")]
    assert figures == [
        (49.6, 65.1), (52.8, 74.8), (57.3, 77.6), (60.3, 80.2), (55.8, 74.9), (59.1, 77.8), (61.8, 80.4), (63.7, 84.3),
        (59.3, 79.8), (62.4, 82.1), (66.0, 84.8), (67.9, 88.2), (61.6, 82.7), (64.8, 86.0), (69.6, 89.5), (70.4, 92.1),
    ]  # fmt: skip


def test_cost_shortens_training_with_its_warm_up() -> None:
    # The recipe has 30 epochs, 5 of them warm-up.
    found = changes("cost")
    assert found["full_epochs_1of3"] == {"num_epochs": 10, "num_warmup_epochs": pytest.approx(5 / 3)}
    assert found["full_epochs_2of3"] == {"num_epochs": 20, "num_warmup_epochs": pytest.approx(10 / 3)}
    assert found["full_epochs_3of3"] == {}
    assert found["tp_epochs_1of3"] == {**found["full_epochs_1of3"], "beta": "none", "supervision": "english"}


def test_fusions_of_fine_tuned_clip_change_one_field() -> None:
    assert changes("vifi_fusion", FINE_TUNED) == {
        "decision": {"fusion": "decision"}, "image": {"fusion": "image"}, "embedding": {},
    }  # fmt: skip
    assert [row[::2] for row in paper("vifi_fusion")] == [(62.2, 90.5), (64.4, 91.7), (66.8, 92.7)]


def test_base_to_novel_goes_from_clip_to_prompts_and_dual_semantics() -> None:
    variants = {each.name: each for each in find_table("vifi_base_to_novel").variants}
    recipes = {name: variant.change(FINE_TUNED) for name, variant in variants.items()}
    assert [each.model.method for each in recipes.values()] == [
        "vanilla", "vificlip", "vificlip", "vificlip", "vl_prompting", "dual_semantic",
    ]  # fmt: skip
    assert [vars(recipes[mode].model.adapters)["mode"] for mode in ("image", "text", "full")] == [
        "image",
        "text",
        "full",
    ]
    assert {each.num_shots for each in recipes.values()} == {FINE_TUNED.num_shots}
    assert [name for name, each in variants.items() if not each.trains] == ["vanilla"]
    assert {name: each.starts_from for name, each in variants.items() if each.starts_from} == {"prompting": "full"}
    full = [variants["full"].paper[each] for each in ("HMDB51", "UCF101")]
    assert [(each.base, each.novel, each.top1) for each in full] == [(73.8, 53.3, 61.9), (92.9, 67.7, 78.3)]


def test_few_shot_prompts_start_from_towers_of_the_same_shots() -> None:
    variants = find_table("vifi_few_shot").variants
    assert [each.change(FINE_TUNED).num_shots for each in variants] == [2, 4, 8, 16] * 5
    assert [each.starts_from for each in variants if each.starts_from] == ["full_k2", "full_k4", "full_k8", "full_k16"]
    assert [row[0] for row in paper("vifi_few_shot")][8:16] == [57.2, 62.7, 64.5, 66.8, 63.0, 65.1, 69.6, 72.0]


def test_fine_tuning_and_its_counterparts_need_a_recipe_that_has_them() -> None:
    fusion, prompting = find_table("vifi_fusion").variants[0], find_table("vifi_base_to_novel").variants[4]
    with pytest.raises(
        SettingError, match="recipe 'dual_semantic' is one of dual_semantic; start from one of vificlip"
    ):
        fusion.change(RECIPE)
    with pytest.raises(
        SettingError, match="recipe 'vificlip_k400' has no counterpart in method vl_prompting; start from one of vifi"
    ):
        prompting.change(find_recipe("vificlip_k400"))


@pytest.mark.parametrize("method", COUNTERPARTS)
def test_counterparts_are_recipes_of_their_methods(method: OtherMethod) -> None:
    found = [(find_recipe(own).model.method, find_recipe(other).model.method)
             for own, other in COUNTERPARTS[method].items()]  # fmt: skip
    assert all(own != method and other == method for own, other in found)


def test_counterparts_keep_their_frames_and_epochs_unless_a_table_sets_them() -> None:
    rule = find_table("vifi_base_to_novel").variants[-1].change
    base, demo = find_recipe("vificlip_shapes"), find_recipe("demo")
    own = rule(base)
    assert (own.name, own.model.num_frames, own.fit) == ("demo", demo.model.num_frames, demo.fit)
    model = replace(base.model, num_frames=4, clip=MODEL.clip, chinese=MODEL.chinese)
    told = rule(replace(base, model=model, fit=replace(base.fit, num_epochs=3)))
    assert (told.model.num_frames, told.model.clip, told.model.chinese) == (4, MODEL.clip, MODEL.chinese)
    assert told.fit == replace(demo.fit, num_epochs=3)


@pytest.mark.parametrize("name", TABLES)
def test_variants_are_distinct_and_named_for_folders(name: str) -> None:
    table = find_table(name)
    check_distinct(table, FINE_TUNED if name in VIFI else SIDE if name in TDS else RECIPE)
    names = [variant.name for variant in table.variants]
    assert len(set(names)) == len(names)
    assert all(part.isidentifier() for part in names)


def test_recipe_without_what_a_table_compares_is_refused() -> None:
    english = replace(RECIPE, model=replace(RECIPE.model, supervision="english"))
    with pytest.raises(SettingError, match="variants tp_beta and full of table components are the same on recipe 'dua"):
        check_distinct(find_table("components"), english)


def test_prompts_cannot_vary_where_there_are_none() -> None:
    bare = replace(RECIPE, model=replace(RECIPE.model, adapters=TemporalEmbeddingConfig()))
    with pytest.raises(SettingError, match="recipe 'dual_semantic' has no temporal prompts to vary; start from one"):
        find_table("beta").variants[0].change(bare)


def test_unknown_table_is_refused() -> None:
    with pytest.raises(SettingError, match="table is 'heads'; known are components, frames, global_prompts, beta"):
        find_table("heads")
