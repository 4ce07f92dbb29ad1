"""The baseline of Deng et al. 2024, Fig. 5a and Table 7: CLIP whose words weigh its frames, trained in English alone.

The paper does not say what it trains: with every tower frozen nothing would be left, yet its accuracy rises with the
number of shots. So there are two.
"""

from dataclasses import replace

from training.config.adapters import TemporalEmbeddingConfig
from training.config.model import Recipe
from training.recipes.dual_semantic import dual_semantic


def baseline_frozen() -> Recipe:
    """Train the temporal embedding alone, under frozen towers, otherwise as ``dual_semantic``."""
    recipe = dual_semantic()
    model = replace(recipe.model, supervision="english", adapters=TemporalEmbeddingConfig())
    return replace(recipe, name="baseline_frozen", model=model)


def baseline_image_ft() -> Recipe:
    """Train the image tower along with the temporal embedding.

    5e-6 is the paper's learning rate, and what a pre-trained tower bears.
    """
    recipe = baseline_frozen()
    return replace(
        recipe,
        name="baseline_image_ft",
        model=replace(recipe.model, adapters=TemporalEmbeddingConfig(tune_image_tower=True)),
        fit=replace(recipe.fit, learning_rate=5e-6),
    )
