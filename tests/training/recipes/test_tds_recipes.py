"""Every field of the recipes of TDS-CLIP against the published training."""

from dataclasses import asdict, replace

import pytest

from training.config.adapters import SideNetworkConfig
from training.config.fitting import AugmentConfig
from training.config.overrides import override
from training.recipes import find_recipe

SOMETHING = AugmentConfig(
    crop_area=(0.08, 1.0), flip_probability=0.5, grayscale_probability=0.0, rand_augment="rand-m7-n4-mstd0.5-inc1"
)
KINETICS = AugmentConfig(crop_area=(0.08, 1.0), flip_probability=0.5, grayscale_probability=0.2)


@pytest.mark.parametrize(
    ("name", "num_classes", "num_epochs", "augment", "rule", "resize"),
    [
        ("tds_ssv1", 174, 40, SOMETHING, "rounded_segments", ("exact", (256, 320))),
        ("tds_ssv2", 174, 30, SOMETHING, "rounded_segments", ("exact", (256, 320))),
        ("tds_k400", 400, 30, KINETICS, "segment_starts", ("short_side", 256)),
    ],
)
def test_data_set_decides_classes_epochs_augmentation_and_frames(
    name: str, num_classes: int, num_epochs: int, augment: AugmentConfig, rule: str, resize: tuple[str, object]
) -> None:
    recipe = find_recipe(name)
    assert recipe.model.adapters == SideNetworkConfig(num_classes=num_classes)
    assert (recipe.fit.num_epochs, recipe.augment, recipe.model.sampling_rule) == (num_epochs, augment, rule)
    assert (recipe.model.preprocessing.resize_rule, recipe.model.preprocessing.resize_size) == resize


@pytest.mark.parametrize("name", ["tds_ssv1", "tds_ssv2", "tds_k400"])
def test_optimizer_is_the_published_one(name: str) -> None:
    expected = {
        "learning_rate": 1e-3, "betas": (0.9, 0.999), "weight_decay": 0.15, "decay_all": True, "num_warmup_epochs": 4.0,
        "final_learning_rate_share": 0.0, "batch_size": 256, "repeated_augmentation": 2, "label_smoothing": 0.1,
        "mixup_alpha": 0.0, "cutmix_alpha": 0.0, "max_gradient_norm": None, "reversed_twins": False,
    }  # fmt: skip
    recipe = find_recipe(name)
    assert (recipe.model.num_frames, recipe.model.num_local_frames) == (8, 5)
    assert {key: value for key, value in asdict(recipe.fit).items() if key in expected} == expected


@pytest.mark.parametrize("name", ["tds_ssv1", "tds_ssv2", "tds_k400"])
def test_released_recipe_differs_in_the_weight_of_differences_alone(name: str) -> None:
    paper, released = find_recipe(name), find_recipe(f"{name}_released")
    assert vars(paper.model.adapters)["sme_alpha"] == 1.0
    assert released == replace(override(paper, {"sme_alpha": "0.5"}), name=f"{name}_released")


def test_recipe_of_shapes_counts_the_classes_of_its_data_and_can_be_opened() -> None:
    closed = find_recipe("tds_shapes")
    opened = override(closed, {"head": "cosine", "fuse_frozen": "true"})
    assert (closed.model.is_closed, closed.model.num_frame_features) == (True, 1)
    assert (opened.model.is_closed, opened.model.num_frame_features) == (False, 2)
