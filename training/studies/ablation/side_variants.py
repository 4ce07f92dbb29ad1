"""Variants of recipes with a side network (Wang and Wang, TDS-CLIP): its adapters, its size and its head.

Which of them make a table, and what the paper measured, is in ``tds_tables``.
"""

from dataclasses import replace
from itertools import chain, count
from typing import Any, Literal

from training.config.adapters import SideNetworkConfig
from training.config.model import Recipe
from training.errors import SettingError
from training.models.clip import clip_config

TowerPart = Literal["first_half", "second_half", "all"]


def with_side(recipe: Recipe, **changes: Any) -> Recipe:  # noqa: ANN401
    """Change fields of the side network.

    Raises:
        SettingError: the recipe has none.
    """
    side = replace(_require_side(recipe), **changes)
    return replace(recipe, model=replace(recipe.model, adapters=side))


def with_scaled_width(recipe: Recipe, *, share: float) -> Recipe:
    """Give the side network a share of the recipe's width, rounded to the nearest that its heads divide.

    Raises:
        SettingError: the recipe has no side network.
    """
    side = _require_side(recipe)
    return with_side(recipe, side_width=_fitting_width(side, width=round(share * side.side_width)))


def with_adapters_in(recipe: Recipe, *, part: TowerPart) -> Recipe:
    """Leave TD-Adapters in some layers alone; of an odd number of layers, the second half is the larger one.

    Raises:
        SettingError: the recipe has no side network.
    """
    clip = recipe.model.clip
    num_layers = (clip_config(clip) if isinstance(clip, str) else clip).vision_layers
    first, last = {
        "first_half": (0, num_layers // 2 - 1),
        "second_half": (num_layers // 2, num_layers - 1),
        "all": (0, num_layers - 1),
    }[part]
    return with_side(recipe, td_first_layer=first, td_last_layer=last)


def closed(recipe: Recipe) -> Recipe:
    """Learn logits of the labels in the training data, as the method was published."""
    return with_side(recipe, head="linear", fuse_frozen=False)


def open_vocabulary(recipe: Recipe) -> Recipe:
    """Map clips into CLIP's joint space in place of logits, so that any label can be asked for."""
    return with_side(recipe, head="cosine", num_classes=None)


def describe_width(recipe: Recipe) -> str:
    """Word the width that a recipe came to."""
    return f"d = {_require_side(recipe).side_width}"


def describe_layers(recipe: Recipe) -> str:
    """Word the layers with TD-Adapters that a recipe came to."""
    side = _require_side(recipe)
    return f"layers {side.td_first_layer} to {side.td_last_layer}"


def _fitting_width(side: SideNetworkConfig, *, width: int) -> int:
    """Find the nearest width that heads divide; of two as near, the smaller one."""
    nearby = chain.from_iterable((width - distance, width + distance) for distance in count())
    return next(each for each in nearby if _fits(side, each))


def _fits(side: SideNetworkConfig, width: int) -> bool:
    try:
        replace(side, side_width=width)
    except ValueError:
        return False
    return True


def _require_side(recipe: Recipe) -> SideNetworkConfig:
    side = recipe.model.adapters
    if not isinstance(side, SideNetworkConfig):
        raise SettingError(
            f"recipe {recipe.name!r} has no side network to vary; start from one that has, such as tds_shapes"
        )
    return side
