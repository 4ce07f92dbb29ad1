"""Recipes that earlier versions wrote, with one flat model for the fields of all methods."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from training.config.adapters import NoAdapters, SideNetworkConfig, TemporalEmbeddingConfig
from training.config.model import MEAN_SCORING, ModelConfig, Recipe
from training.errors import RunError
from training.recipes import find_recipe
from training.runs.configs import CONFIG_NAME, dump_config, read_config, render_config

# What every model said, whatever its method.
FLAT: dict[str, Any] = {
    "method": "dual_semantic",
    "num_frames": 8,
    "temporal_prompts": None,
    "supervision": "english",
    "tune_image_tower": False,
    "fusion": "embedding",
    "mode": "full",
    "vl_prompts": None,
    "side": None,
    "aggregation": "mean",
    "word_set": "label_eot",
    "renormalise": False,
    "tau": 0.01,
    "template_en": "This is a video about {}",
    "template_zh": "{}",
    "sampling_rule": "segment_centres",
}
PROMPTS = {
    "num_global_prompts": 8,
    "global_prompts": "broadcast",
    "beta": "r2plus1d",
    "beta_width": 224,
    "beta_units": 2,
    "beta_layout": "grid",
    "residual": True,
    "projection_init": "torch_default",
    "zero_init_beta": False,
}
SIDE = {
    "side_width": 64,
    "variant": "tds",
    "num_local_frames": 5,
    "sme_alpha": 1.0,
    "sme_beta": 1.0,
    "td_adapter": "pool",
    "td_kernel": 3,
    "td_first_layer": 0,
    "td_last_layer": None,
    "stem_padding": 1,
    "head": "linear",
    "num_classes": None,
    "fuse_frozen": False,
}
WORD_WEIGHTED = {"aggregation": "word_weighted", "renormalise": True}
DEEP = {"num_vision_tokens": 10, "num_text_tokens": 10, "depth": 12, "allow_unbridged": False}


def write_earlier(path: Path, recipe: Recipe, **fields: Any) -> None:  # noqa: ANN401
    """Write a recipe's file with the towers of today's and a flat model."""
    values = dump_config(recipe)
    towers = {name: values["model"][name] for name in ("clip", "chinese", "preprocessing")}
    path.write_text(json.dumps(values | {"model": {**FLAT, **towers, **fields}}), encoding="utf-8")


@pytest.mark.parametrize(
    ("expected", "fields"),
    [
        (
            find_recipe("dual_semantic_paper").model,
            WORD_WEIGHTED
            | {"temporal_prompts": PROMPTS, "num_frames": 16, "supervision": "dual", "word_set": "bike77"},
        ),
        (find_recipe("baseline_image_ft").model, WORD_WEIGHTED | {"num_frames": 16, "tune_image_tower": True}),
        (
            find_recipe("vificlip_few_shot").model,
            {"method": "vificlip", "num_frames": 32, "template_en": "a photo of a {}."},
        ),
        (
            find_recipe("vl_prompting_few_shot").model,
            {"method": "vl_prompting", "num_frames": 32, "template_en": "{}.", "vl_prompts": DEEP},
        ),
        (find_recipe("tds_shapes").model, {"method": "tds", "side": SIDE}),
        (
            replace(find_recipe("tds_shapes").model, adapters=SideNetworkConfig(side_width=64, variant="side4video")),
            {"method": "tds", "side": SIDE | {"variant": "side4video"}},
        ),
        (
            ModelConfig(supervision="english", scoring=MEAN_SCORING, adapters=NoAdapters()),
            {"method": "vanilla"},
        ),
        (
            ModelConfig(
                supervision="english", scoring=MEAN_SCORING, adapters=TemporalEmbeddingConfig(tune_image_tower=True)
            ),
            {"tune_image_tower": True},
        ),
    ],
)
def test_recipe_of_an_earlier_version_is_read(tmp_path: Path, expected: ModelConfig, fields: dict[str, Any]) -> None:
    recipe = Recipe(name="earlier", model=expected)
    write_earlier(tmp_path / CONFIG_NAME, recipe, **fields)
    assert read_config(tmp_path / CONFIG_NAME, kind=Recipe) == recipe


@pytest.mark.parametrize(
    "fields",
    [{"method": "bike"}, {"method": "tds", "side": SIDE | {"num_heads": 4}}, {"aggregation": "max"}, {"depth": 4}],
)
def test_recipe_that_no_version_wrote_is_refused(tmp_path: Path, fields: dict[str, Any]) -> None:
    write_earlier(tmp_path / CONFIG_NAME, find_recipe("tds_shapes"), **fields)
    with pytest.raises(RunError, match=f"{CONFIG_NAME} (cannot be read|has keys that Recipe does not have)"):
        read_config(tmp_path / CONFIG_NAME, kind=Recipe)


@pytest.mark.parametrize("text", ["[]", "null", '{"model": 3}'])
def test_file_that_is_no_recipe_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / CONFIG_NAME).write_text(text, encoding="utf-8")
    with pytest.raises(RunError, match="cannot be read"):
        read_config(tmp_path / CONFIG_NAME, kind=Recipe)


def test_adapters_of_another_kind_have_their_own_fields(tmp_path: Path) -> None:
    path, recipe = tmp_path / CONFIG_NAME, find_recipe("vl_prompting_shapes")
    path.write_text(render_config(recipe).replace("deep_prompts", "fine_tuning"), encoding="utf-8")
    with pytest.raises(RunError, match="has keys that Recipe does not have"):
        read_config(path, kind=Recipe)
