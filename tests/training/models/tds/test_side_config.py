"""What the config of a side network refuses, and what it derives."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest

from tests.training.side import SIDE, SIDE_MODEL, side_config
from tests.training.tiny import CLIP, MODEL, RECIPE, tiny_model
from training.config.adapters import SideNetworkConfig
from training.config.model import Recipe
from training.config.overrides import override
from training.errors import SettingError
from training.models.card import METHODS
from training.runs.configs import read_config, render_config


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"side_width": 0}, "side_width is 0; it must be at least 1"),
        ({"side_width": 200}, "side_width is 200; it must be at least 1 and, from 64 on, divisible by 3, its number"),
        ({"head": "linear", "num_classes": 0}, "head is 'linear' and num_classes is 0; a linear head needs at least 1"),
        ({"head": "linear", "num_classes": 3, "fuse_frozen": True}, "head is 'linear' and fuse_frozen is on, but"),
        (
            {"td_first_layer": -1},
            "td_first_layer is -1 and td_last_layer is None, but the image tower has layers 0 to 1",
        ),
        ({"td_first_layer": 2}, "td_first_layer is 2 and td_last_layer is None, but the image tower has layers 0 to 1"),
        ({"td_last_layer": 2}, "td_first_layer is 0 and td_last_layer is 2, but the image tower has layers 0 to 1"),
        ({"td_first_layer": 1, "td_last_layer": 0}, "td_first_layer is 1 and td_last_layer is 0, but the image tower"),
    ],
)
def test_impossible_side_networks_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        side_config(**changes)


def test_model_of_an_unknown_number_of_classes_is_not_built() -> None:
    message = "head is 'linear' and num_classes is None; a linear head needs at least 1 class, so set"
    with pytest.raises(ValueError, match=message):
        tiny_model(side_config(head="linear"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_frames": 1}, "num_frames is 1; a clip of method 'tds' has at least 2"),
        ({"scoring": MODEL.scoring}, "method is 'tds' and aggregation is 'word_weighted'; it must be 'mean'"),
    ],
)
def test_models_that_do_not_fit_a_side_network_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        replace(SIDE_MODEL, **changes)


def test_padding_that_adds_patches_is_refused() -> None:
    clip = replace(CLIP, patch_size_pixels=2)
    with pytest.raises(
        ValueError, match="stem_padding is 1 and patches have 2 pixels, so that the stem would cut more"
    ):
        SIDE.check_fit(clip)
    replace(SIDE, stem_padding=0).check_fit(clip)


@pytest.mark.parametrize(("side_width", "num_heads"), [(8, 1), (128, 2), (320, 5), (512, 8)])
def test_heads_have_64_channels(side_width: int, num_heads: int) -> None:
    assert SideNetworkConfig(side_width=side_width, head="cosine").num_heads == num_heads


@pytest.mark.parametrize(("variant", "expected"), [("tds", (5, 1)), ("side4video", (1, 0))])
def test_variant_decides_frames_and_padding(variant: Literal["tds", "side4video"], expected: tuple[int, int]) -> None:
    config = replace(SIDE, variant=variant)
    assert (config.num_local_frames, config.stem_padding) == expected


def test_models_without_a_side_network_take_one_frame() -> None:
    assert SIDE_MODEL.without_adapters().num_local_frames == 1


def test_recipe_survives_its_file(tmp_path: Path) -> None:
    recipe = replace(RECIPE, model=SIDE_MODEL)
    (tmp_path / "config.json").write_text(render_config(recipe), encoding="utf-8")
    assert read_config(tmp_path / "config.json", kind=Recipe) == recipe


def test_sizes_are_set_from_the_command_line() -> None:
    config = override(METHODS["tds"](), {"head": "cosine", "side_width": "128", "num_classes": "7"})
    assert config.adapters == replace(SideNetworkConfig(head="cosine"), side_width=128, num_classes=7)


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("variant", "side5video", "'tds' or 'side4video'"),
        ("num_local_frames", "2", "1, 3 or 5"),
        ("td_adapter", "max", "'none', 'pool', 'conv' or 'direct'"),
        ("td_kernel", "4", "3, 5 or 7"),
        ("stem_padding", "2", "0 or 1"),
        ("head", "mlp", "'linear' or 'cosine'"),
    ],
)
def test_unknown_choices_are_refused(key: str, value: str, allowed: str) -> None:
    with pytest.raises(SettingError, match=f"--set {key}={value}: Input should be {allowed}"):
        override(METHODS["tds"](), {key: value})
