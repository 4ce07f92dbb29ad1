"""Recipes of Deng et al. 2024 on CLIP ViT-B/16, each twice.

The recipe of a plain name learns at a rate that suits new modules and starts at CLIP itself; that which ends in
``_paper`` keeps the published learning rate, takes every token of the sentence as a word and torch's initial values.
Where the paper is silent, the docstrings say what was decided.
"""

from dataclasses import replace

from training.config.adapters import TemporalPromptConfig
from training.config.fitting import AugmentConfig, FitConfig
from training.config.model import ModelConfig, Recipe

PRACTICAL_LEARNING_RATE = 5e-4
_RAND_AUGMENT = "rand-m7-n4-mstd0.5-inc1"


def dual_semantic() -> Recipe:
    """Train on all of HMDB51 or UCF101.

    The paper's: AdamW with weight decay 1e-2, 30 epochs (ViT-L/14: 20), 5 of them warm-up, batches of 32, 16 frames,
    random resized crops, flips and greying. Decided: batches of 32, for section 4.4 and Table 6 contradict the 256 of
    Table 2; the learning rate; words of the label and the end of the sentence alone.
    """
    return Recipe(
        name="dual_semantic",
        model=ModelConfig(num_frames=16),
        fit=FitConfig(
            num_epochs=30,
            num_warmup_epochs=5.0,
            batch_size=32,
            learning_rate=PRACTICAL_LEARNING_RATE,
            weight_decay=1e-2,
        ),
        augment=AugmentConfig(flip_probability=0.5, grayscale_probability=0.2),
    )


def dual_semantic_paper() -> Recipe:
    """Train on all of HMDB51 or UCF101 at the published 5e-6.

    At that rate the weights of new modules hardly move, so they cannot start at zero as in ``dual_semantic``.
    """
    return _as_published(dual_semantic(), name="dual_semantic_paper", learning_rate=5e-6)


def dual_semantic_few_shot() -> Recipe:
    """Train on K = ``num_shots`` videos of each label, 2, 4, 8 or 16 of them in Table 7.

    The paper's: batches of 64. Decided, as Table 7 is silent: 30 epochs, 16 frames, and a mean over three draws, which
    are those of the seeds 0, 1 and 2.
    """
    recipe = dual_semantic()
    return replace(
        recipe, name="dual_semantic_few_shot", num_shots=16, fit=replace(recipe.fit, batch_size=64, num_epochs=30)
    )


def dual_semantic_few_shot_paper() -> Recipe:
    """Train on K videos of each label at the published 4e-6."""
    return _as_published(dual_semantic_few_shot(), name="dual_semantic_few_shot_paper", learning_rate=4e-6)


def dual_semantic_ssv1() -> Recipe:
    """Train on Something-Something v1.

    The paper's: learning rate 5e-4, batches of 16, 40 epochs, and that RandAugment, random erasing and label smoothing
    are used. Decided: their strengths, the optimizer's other settings and the 16 frames as for the smaller sets, and
    that a mirrored clip takes the mirrored label.
    """
    recipe = dual_semantic()
    return replace(
        recipe,
        name="dual_semantic_ssv1",
        fit=replace(recipe.fit, batch_size=16, num_epochs=40, learning_rate=5e-4, label_smoothing=0.1),
        augment=replace(recipe.augment, rand_augment=_RAND_AUGMENT, erasing_probability=0.25),
    )


def dual_semantic_ssv1_paper() -> Recipe:
    """Train on Something-Something v1; the published learning rate is that of ``dual_semantic_ssv1``."""
    return _as_published(dual_semantic_ssv1(), name="dual_semantic_ssv1_paper", learning_rate=5e-4)


def _as_published(recipe: Recipe, *, name: str, learning_rate: float) -> Recipe:
    model = replace(
        recipe.model,
        scoring=replace(recipe.model.scoring, word_set="bike77"),
        adapters=TemporalPromptConfig(projection_init="torch_default", zero_init_beta=False),
    )
    return replace(
        recipe,
        name=name,
        model=model,
        fit=replace(recipe.fit, learning_rate=learning_rate),
    )
