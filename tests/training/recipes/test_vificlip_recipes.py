"""Every field of the recipes of fine-tuned and prompted CLIP against the published configs."""

from dataclasses import asdict, replace

import pytest

from training.config.adapters import DeepPromptConfig, FineTuningConfig
from training.config.fitting import AugmentConfig
from training.config.overrides import override
from training.recipes import find_recipe

PUBLISHED = ["vificlip_k400", "vificlip_full", "vificlip_base_to_novel", "vificlip_few_shot", "vl_bridge",
             "vl_prompting_base_to_novel", "vl_prompting_few_shot"]  # fmt: skip
FINE_TUNING = [name for name in PUBLISHED if not name.startswith("vl_prompting")]
PROMPTING = {
    "vl_prompting_base_to_novel": DeepPromptConfig(num_vision_tokens=16, num_text_tokens=16, depth=9),
    "vl_prompting_few_shot": DeepPromptConfig(num_vision_tokens=10, num_text_tokens=10, depth=12),
    "vl_prompting_shapes": DeepPromptConfig(num_vision_tokens=8, num_text_tokens=8, depth=2),
}


@pytest.mark.parametrize(
    ("name", "num_frames", "learning_rate", "batch_size", "num_epochs", "num_shots"),
    [
        ("vificlip_k400", 32, 8e-6, 256, 10, None),
        ("vificlip_full", 16, 2.2e-5, 512, 30, None),
        ("vificlip_base_to_novel", 32, 2e-6, 64, 11, 16),
        ("vificlip_few_shot", 32, 2e-6, 64, 50, 16),
        ("vl_bridge", 32, 8e-6, 256, 10, None),
        ("vl_prompting_base_to_novel", 32, 4e-2, 64, 11, 16),
        ("vl_prompting_few_shot", 32, 8e-3, 64, 50, 16),
    ],
)
def test_schedule_is_that_of_the_published_config(
    name: str, num_frames: int, learning_rate: float, batch_size: int, num_epochs: int, num_shots: int | None
) -> None:
    recipe = find_recipe(name)
    assert (recipe.model.num_frames, recipe.num_shots) == (num_frames, num_shots)
    expected = {"learning_rate": learning_rate, "batch_size": batch_size, "num_epochs": num_epochs}
    assert {key: value for key, value in asdict(recipe.fit).items() if key in expected} == expected


@pytest.mark.parametrize("name", PUBLISHED)
def test_common_settings_are_those_of_the_published_configs(name: str) -> None:
    expected = {
        "num_warmup_epochs": 5.0, "final_learning_rate_share": 0.01, "betas": (0.9, 0.98), "adam_eps": 1e-8,
        "weight_decay": 1e-3, "decay_all": True, "max_gradient_norm": None, "label_smoothing": 0.1, "mixup_alpha": 0.8,
        "cutmix_alpha": 1.0, "mix_switch_probability": 0.5, "reversed_twins": False,
    }  # fmt: skip
    assert {key: value for key, value in asdict(find_recipe(name).fit).items() if key in expected} == expected


@pytest.mark.parametrize("name", PUBLISHED)
def test_augmentation_is_that_of_the_published_configs(name: str) -> None:
    assert find_recipe(name).augment == AugmentConfig(
        crop_scales=(1.0, 0.875, 0.75, 0.66),
        flip_probability=0.5,
        jitter_probability=0.8,
        jitter_strengths=(0.4, 0.4, 0.2, 0.1),
        grayscale_probability=0.2,
    )


@pytest.mark.parametrize("name", [*FINE_TUNING, "vificlip_shapes"])
def test_fine_tuning_trains_both_towers_on_a_photo(name: str) -> None:
    model = find_recipe(name).model
    assert (model.method, model.template_en) == ("vificlip", "a photo of a {}.")
    assert model.adapters == FineTuningConfig(mode="full", fusion="embedding")


@pytest.mark.parametrize(("name", "prompts"), PROMPTING.items())
def test_prompting_has_the_published_tokens_and_a_bare_label(name: str, prompts: DeepPromptConfig) -> None:
    model = find_recipe(name).model
    assert (model.method, model.adapters, model.template_en) == ("vl_prompting", prompts, "{}.")


def test_bridge_is_training_for_transfer() -> None:
    assert replace(find_recipe("vl_bridge"), name="vificlip_k400") == find_recipe("vificlip_k400")


@pytest.mark.parametrize("name", ["vificlip_shapes", "vl_prompting_shapes"])
def test_shapes_stay_where_they_are(name: str) -> None:
    recipe = find_recipe(name)
    assert recipe.augment == find_recipe("demo").augment
    assert not recipe.fit.mixes_clips
    assert recipe.model.num_frames == 8


@pytest.mark.parametrize(
    ("name", "key", "text", "expected"),
    [
        ("vificlip_few_shot", "mode", "image", "image"),
        ("vificlip_few_shot", "fusion", "decision", "decision"),
        ("vl_prompting_few_shot", "fusion", "image", "image"),
    ],
)
def test_settings_reach_the_model(name: str, key: str, text: str, expected: str) -> None:
    assert getattr(override(find_recipe(name), {key: text}).model.adapters, key) == expected


@pytest.mark.parametrize(
    ("key", "text", "expected"),
    [("num_vision_tokens", "4", 4), ("num_text_tokens", "4", 4), ("depth", "1", 1), ("allow_unbridged", "true", True)],
)
def test_settings_reach_the_prompts(key: str, text: str, expected: object) -> None:
    assert getattr(override(find_recipe("vl_prompting_few_shot"), {key: text}).model.adapters, key) == expected
