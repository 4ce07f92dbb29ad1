"""Recipes of Deng et al. 2024 for HMDB51 and UCF101 on CLIP ViT-B/16: section 4.2, with 16 frames."""

from dataclasses import replace

from training.config import AugmentConfig, FitConfig, ModelConfig, Recipe, TemporalPromptConfig


def dual_semantic() -> Recipe:
    """Train the adapters from a start that equals CLIP, at a learning rate that suits new modules."""
    return Recipe(
        name="dual_semantic",
        model=ModelConfig(num_frames=16),
        fit=FitConfig(num_epochs=30, num_warmup_epochs=5.0, batch_size=32, learning_rate=5e-4, weight_decay=1e-2),
        augment=AugmentConfig(flip_probability=0.5, grayscale_probability=0.2),
    )


def dual_semantic_paper() -> Recipe:
    """Train with the published learning rate, every token of the sentence as a word, and torch's initial values.

    At 5e-6 the weights of new modules hardly move, so they cannot start at zero as in ``dual_semantic``.
    """
    recipe = dual_semantic()
    prompts = TemporalPromptConfig(projection_init="torch_default", zero_init_beta=False)
    return replace(
        recipe,
        name="dual_semantic_paper",
        model=replace(recipe.model, temporal_prompts=prompts, word_set="bike77"),
        fit=replace(recipe.fit, learning_rate=5e-6),
    )
