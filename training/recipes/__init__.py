"""Recipes: named functions that return everything a run depends on but its data and its backbone's weights."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from training.config.model import Recipe
from training.errors import SettingError
from training.recipes.baselines import baseline_frozen, baseline_image_ft
from training.recipes.demo import demo, demo_miniature
from training.recipes.dual_semantic import (
    dual_semantic,
    dual_semantic_few_shot,
    dual_semantic_few_shot_paper,
    dual_semantic_paper,
    dual_semantic_ssv1,
    dual_semantic_ssv1_paper,
)
from training.recipes.tds import (
    tds_k400,
    tds_k400_released,
    tds_shapes,
    tds_ssv1,
    tds_ssv1_released,
    tds_ssv2,
    tds_ssv2_released,
)
from training.recipes.vificlip import (
    vificlip_base_to_novel,
    vificlip_few_shot,
    vificlip_full,
    vificlip_k400,
    vificlip_shapes,
    vl_bridge,
    vl_prompting_base_to_novel,
    vl_prompting_few_shot,
    vl_prompting_shapes,
)

RECIPES: Mapping[str, Callable[[], Recipe]] = MappingProxyType(
    {
        build.__name__: build
        for build in (
            demo,
            demo_miniature,
            dual_semantic,
            dual_semantic_paper,
            dual_semantic_few_shot,
            dual_semantic_few_shot_paper,
            dual_semantic_ssv1,
            dual_semantic_ssv1_paper,
            baseline_frozen,
            baseline_image_ft,
            vificlip_k400,
            vificlip_full,
            vificlip_base_to_novel,
            vificlip_few_shot,
            vificlip_shapes,
            vl_bridge,
            vl_prompting_base_to_novel,
            vl_prompting_few_shot,
            vl_prompting_shapes,
            tds_ssv1,
            tds_ssv1_released,
            tds_ssv2,
            tds_ssv2_released,
            tds_k400,
            tds_k400_released,
            tds_shapes,
        )
    }
)


def find_recipe(name: str) -> Recipe:
    """Build a recipe by its name.

    Raises:
        SettingError: there is no such recipe; those that exist are listed.
    """
    if name not in RECIPES:
        raise SettingError(f"recipe is {name!r}; known are {', '.join(RECIPES)}")
    return RECIPES[name]()
