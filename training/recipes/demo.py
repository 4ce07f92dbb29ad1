"""Recipes of the demo world MotionShapes, for two processor cores."""

from dataclasses import replace

from training.config.adapters import TemporalPromptConfig
from training.config.fitting import FitConfig
from training.config.model import ModelConfig, Recipe
from training.recipes.motion_shapes import SHAPES_AUGMENT


def demo() -> Recipe:
    """Train small adapters on MotionShapes.

    Nothing is cropped, mirrored or greyed: place, direction and colour are what labels and captions speak of. Four
    frames show every action at less than half the cost, but leave turning harder to tell. The strong weight decay is
    what carries over to compositions that training never shows.
    """
    return Recipe(
        name="demo",
        model=ModelConfig(num_frames=8, adapters=TemporalPromptConfig(num_global_prompts=4, beta_width=32)),
        fit=FitConfig(
            num_epochs=12,
            num_warmup_epochs=0.5,
            batch_size=32,
            reversed_twins=True,
            learning_rate=3e-3,
            weight_decay=0.3,
            max_cached_frames=32,
        ),
        augment=SHAPES_AUGMENT,
    )


def demo_miniature() -> Recipe:
    """Take the path of ``demo`` in seconds; what it learns is worth nothing."""
    recipe = demo()
    fit = replace(recipe.fit, num_epochs=1, batch_size=24, log_every_steps=1)
    prompts = TemporalPromptConfig(num_global_prompts=2, beta_width=8)
    return replace(
        recipe,
        name="demo_miniature",
        model=replace(recipe.model, adapters=prompts),
        fit=fit,
    )
