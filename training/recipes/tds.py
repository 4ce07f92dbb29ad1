"""Recipes of Wang and Wang, TDS-CLIP, on CLIP ViT-B/16: a side network beside a frozen image tower.

Every one takes AdamW with weight decay 0.15 on all parameters, 4 epochs of warm-up and a cosine to zero, label
smoothing of 0.1, 8 frames with windows of 5, and batches of 256 clips: 16 videos twice, each time augmented anew, on
each of 8 processes. The paper weighs local differences by 1.0, its released code by 0.5; recipes that end in
``_released`` do as the code. Decided: no gradient is clipped, as nothing is said of it; the cosine moves every step.
ViT-L/14 takes ``side_width=512``, a learning rate of 1e-4 and 30 epochs throughout.
"""

from dataclasses import replace

from training.config.adapters import RELEASED_SME_ALPHA, SideNetworkConfig
from training.config.fitting import AugmentConfig, FitConfig
from training.config.model import CLIP_PREPROCESSING, MEAN_SCORING, ModelConfig, Recipe
from training.recipes.motion_shapes import SHAPES_AUGMENT

_NUM_SOMETHING_CLASSES, _NUM_KINETICS_CLASSES = 174, 400


def tds_ssv1() -> Recipe:
    """Train on Something-Something v1; the published test takes 2 clips of 3 crops (``--views 2x3``).

    Pictures are stretched to 320 x 256. A mirrored clip takes the mirrored label, and clips whose label speaks of
    neither side stay as they are.
    """
    return Recipe(
        name="tds_ssv1",
        model=ModelConfig(
            preprocessing=CLIP_PREPROCESSING.model_copy(update={"resize_rule": "exact", "resize_size": (256, 320)}),
            num_frames=8,
            sampling_rule="rounded_segments",
            supervision="english",
            scoring=MEAN_SCORING,
            adapters=SideNetworkConfig(num_classes=_NUM_SOMETHING_CLASSES),
        ),
        fit=FitConfig(
            num_epochs=40,
            num_warmup_epochs=4.0,
            batch_size=256,
            clips_per_pass=32,
            repeated_augmentation=2,
            learning_rate=1e-3,
            weight_decay=0.15,
            decay_all=True,
            max_gradient_norm=None,
            label_smoothing=0.1,
            frame_cache_bytes=0,
        ),
        augment=AugmentConfig(rand_augment="rand-m7-n4-mstd0.5-inc1", grayscale_probability=0.0),
    )


def tds_ssv1_released() -> Recipe:
    """Train on Something-Something v1 with the released code's weight of differences."""
    return _as_released(tds_ssv1())


def tds_ssv2() -> Recipe:
    """Train on Something-Something v2, for 30 epochs."""
    recipe = tds_ssv1()
    return replace(recipe, name="tds_ssv2", fit=replace(recipe.fit, num_epochs=30))


def tds_ssv2_released() -> Recipe:
    """Train on Something-Something v2 with the released code's weight of differences."""
    return _as_released(tds_ssv2())


def tds_k400() -> Recipe:
    """Train on Kinetics-400; the published test takes 4 clips of 3 crops (``--views 4x3``)."""
    recipe = tds_ssv2()
    model = replace(
        recipe.model,
        preprocessing=CLIP_PREPROCESSING,
        sampling_rule="segment_starts",
        adapters=SideNetworkConfig(num_classes=_NUM_KINETICS_CLASSES),
    )
    augment = AugmentConfig(flip_probability=0.5, grayscale_probability=0.2)
    return replace(recipe, name="tds_k400", model=model, augment=augment)


def tds_k400_released() -> Recipe:
    """Train on Kinetics-400 with the released code's weight of differences."""
    return _as_released(tds_k400())


def tds_shapes() -> Recipe:
    """Train a side network of 64 channels beside the demo's small towers on MotionShapes.

    Nothing is cropped, mirrored or recoloured: place, direction and colour are what labels speak of. ``--set
    head=cosine`` makes the vocabulary open.
    """
    recipe = tds_ssv1()
    return replace(
        recipe,
        name="tds_shapes",
        model=replace(
            recipe.model,
            preprocessing=CLIP_PREPROCESSING,
            sampling_rule="segment_centres",
            adapters=SideNetworkConfig(side_width=64),
        ),
        fit=replace(
            recipe.fit,
            num_epochs=12,
            num_warmup_epochs=0.5,
            batch_size=32,
            clips_per_pass=None,
            repeated_augmentation=1,
            reversed_twins=True,
            learning_rate=3e-3,
            max_gradient_norm=1.0,
            frame_cache_bytes=FitConfig().frame_cache_bytes,
            max_cached_frames=32,
        ),
        augment=SHAPES_AUGMENT,
    )


def _as_released(recipe: Recipe) -> Recipe:
    adapters = recipe.model.adapters
    assert isinstance(adapters, SideNetworkConfig)
    adapters = replace(adapters, sme_alpha=RELEASED_SME_ALPHA)
    return replace(recipe, name=f"{recipe.name}_released", model=replace(recipe.model, adapters=adapters))
