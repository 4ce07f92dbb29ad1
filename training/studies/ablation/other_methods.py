"""Other methods on the videos and the towers of a recipe, as functions from recipe to recipe."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Literal

from training.config.model import Recipe
from training.errors import SettingError
from training.recipes import find_recipe

OtherMethod = Literal["vl_prompting", "dual_semantic", "vificlip"]
# By method: its recipe for the same kind of data as another method's recipe.
COUNTERPARTS: Mapping[OtherMethod, Mapping[str, str]] = MappingProxyType(
    {
        "vl_prompting": MappingProxyType(
            {
                "vificlip_shapes": "vl_prompting_shapes",
                "vificlip_few_shot": "vl_prompting_few_shot",
                "vificlip_base_to_novel": "vl_prompting_base_to_novel",
            }
        ),
        "dual_semantic": MappingProxyType(
            {
                "vificlip_shapes": "demo",
                "vificlip_few_shot": "dual_semantic_few_shot",
                "vificlip_base_to_novel": "dual_semantic_few_shot",
                "tds_shapes": "demo",
                "tds_ssv1": "dual_semantic_ssv1",
                "tds_ssv2": "dual_semantic_ssv1",
                "tds_k400": "dual_semantic",
            }
        ),
        "vificlip": MappingProxyType(
            {
                "tds_shapes": "vificlip_shapes",
                "tds_ssv1": "vificlip_full",
                "tds_ssv2": "vificlip_full",
                "tds_k400": "vificlip_full",
            }
        ),
    }
)


def prompted(recipe: Recipe) -> Recipe:
    """Learn prompts in place of fine-tuning, by the recipe that goes with this one."""
    return _counterpart(recipe, method="vl_prompting")


def dual_semantic(recipe: Recipe) -> Recipe:
    """Train the adapters of Deng et al. 2024 on the same videos, by the recipe that suits the same data."""
    return _counterpart(recipe, method="dual_semantic")


def vificlip(recipe: Recipe) -> Recipe:
    """Fine-tune both towers (Rasheed et al. 2023) on the same videos, by the recipe that suits the same data."""
    return _counterpart(recipe, method="vificlip")


def _counterpart(recipe: Recipe, *, method: OtherMethod) -> Recipe:
    """Take another method's recipe, on the videos and the towers of this one.

    Frames and epochs are the other recipe's own, unless this one has not its published numbers of them: then they were
    set for the table, and hold in every row.
    """
    counterparts = COUNTERPARTS[method]
    if recipe.name not in counterparts:
        raise SettingError(
            f"recipe {recipe.name!r} has no counterpart in method {method}; start from one of {', '.join(counterparts)}"
        )
    published, other = find_recipe(recipe.name), find_recipe(counterparts[recipe.name])
    model = replace(
        other.model,
        clip=recipe.model.clip,
        chinese=recipe.model.chinese,
        preprocessing=recipe.model.preprocessing,
        num_frames=_if_set(recipe.model.num_frames, published.model.num_frames, other.model.num_frames),
    )
    num_epochs = _if_set(recipe.fit.num_epochs, published.fit.num_epochs, other.fit.num_epochs)
    fit = replace(other.fit, num_epochs=num_epochs)
    return replace(other, model=model, fit=fit, num_shots=recipe.num_shots, train_split=recipe.train_split)


def _if_set(own: int, published: int, other: int) -> int:
    return other if own == published else own
