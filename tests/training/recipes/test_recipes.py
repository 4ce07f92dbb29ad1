"""Every field of the recipes against the published table, and the settings that reach them."""

from dataclasses import asdict, replace

import pytest

from training.config.adapters import TemporalEmbeddingConfig, TemporalPromptConfig
from training.config.model import ModelConfig, Recipe, ScoringConfig
from training.config.overrides import override
from training.errors import SettingError
from training.recipes import RECIPES, find_recipe

PAPER = TemporalPromptConfig(projection_init="torch_default", zero_init_beta=False)
PRACTICAL = TemporalPromptConfig()


def test_recipes_are_known_by_their_names() -> None:
    assert list(RECIPES) == [
        "demo", "demo_miniature", "dual_semantic", "dual_semantic_paper", "dual_semantic_few_shot",
        "dual_semantic_few_shot_paper", "dual_semantic_ssv1", "dual_semantic_ssv1_paper", "baseline_frozen",
        "baseline_image_ft", "vificlip_k400", "vificlip_full", "vificlip_base_to_novel", "vificlip_few_shot",
        "vificlip_shapes", "vl_bridge", "vl_prompting_base_to_novel", "vl_prompting_few_shot", "vl_prompting_shapes",
        "tds_ssv1", "tds_ssv1_released", "tds_ssv2", "tds_ssv2_released", "tds_k400", "tds_k400_released",
        "tds_shapes",
    ]  # fmt: skip
    assert [find_recipe(name).name for name in RECIPES] == list(RECIPES)


def test_unknown_recipe_lists_the_known_ones() -> None:
    with pytest.raises(SettingError, match="recipe is 'vita'; known are demo, demo_miniature, dual_semantic, "):
        find_recipe("vita")


@pytest.mark.parametrize(
    ("name", "learning_rate", "batch_size", "num_epochs", "num_shots", "label_smoothing"),
    [
        ("dual_semantic", 5e-4, 32, 30, None, 0.0),
        ("dual_semantic_paper", 5e-6, 32, 30, None, 0.0),
        ("dual_semantic_few_shot", 5e-4, 64, 30, 16, 0.0),
        ("dual_semantic_few_shot_paper", 4e-6, 64, 30, 16, 0.0),
        ("dual_semantic_ssv1", 5e-4, 16, 40, None, 0.1),
        ("dual_semantic_ssv1_paper", 5e-4, 16, 40, None, 0.1),
        ("baseline_frozen", 5e-4, 32, 30, None, 0.0),
        ("baseline_image_ft", 5e-6, 32, 30, None, 0.0),
    ],
)
def test_schedule_is_that_of_the_table(
    name: str, learning_rate: float, batch_size: int, num_epochs: int, num_shots: int | None, label_smoothing: float
) -> None:
    recipe = find_recipe(name)
    assert recipe.num_shots == num_shots
    assert (recipe.train_split, recipe.fit.seed, recipe.fit.reversed_twins) == ("train", 0, False)
    expected = {
        "learning_rate": learning_rate, "batch_size": batch_size, "num_epochs": num_epochs, "num_warmup_epochs": 5.0,
        "betas": (0.9, 0.999), "weight_decay": 1e-2, "label_smoothing": label_smoothing,
    }  # fmt: skip
    assert {key: value for key, value in asdict(recipe.fit).items() if key in expected} == expected


@pytest.mark.parametrize(
    ("name", "rand_augment", "erasing"),
    [
        *((name, None, 0.0) for name in RECIPES if name.startswith(("dual", "base")) and "ssv1" not in name),
        ("dual_semantic_ssv1", "rand-m7-n4-mstd0.5-inc1", 0.25),
        ("dual_semantic_ssv1_paper", "rand-m7-n4-mstd0.5-inc1", 0.25),
    ],
)
def test_augmentation_is_that_of_the_table(name: str, rand_augment: str | None, erasing: float) -> None:
    assert asdict(find_recipe(name).augment) == {
        "crop_area": (0.08, 1.0), "crop_aspect": (3 / 4, 4 / 3), "flip_probability": 0.5, "grayscale_probability": 0.2,
        "rand_augment": rand_augment, "erasing_probability": erasing, "crop_scales": (), "jitter_probability": 0.0,
        "jitter_strengths": (0.4, 0.4, 0.2, 0.1),
    }  # fmt: skip


@pytest.mark.parametrize("task", ["", "_few_shot", "_ssv1"])
def test_published_and_practical_recipe_differ_in_start_words_and_rate(task: str) -> None:
    practical, paper = find_recipe(f"dual_semantic{task}"), find_recipe(f"dual_semantic{task}_paper")
    assert practical.model == ModelConfig(num_frames=16)
    assert paper.model == ModelConfig(num_frames=16, scoring=ScoringConfig(word_set="bike77"), adapters=PAPER)
    assert replace(paper.fit, learning_rate=practical.fit.learning_rate) == practical.fit
    assert paper.augment == practical.augment


@pytest.mark.parametrize(("name", "tunes"), [("baseline_frozen", False), ("baseline_image_ft", True)])
def test_baselines_have_neither_prompts_nor_chinese(name: str, tunes: bool) -> None:
    adapters = TemporalEmbeddingConfig(tune_image_tower=tunes)
    expected = ModelConfig(num_frames=16, supervision="english", adapters=adapters)
    assert find_recipe(name).model == expected


@pytest.mark.parametrize(
    ("key", "text", "reach"),
    [
        ("num_shots", "2", lambda recipe: recipe.num_shots == 2),
        ("num_shots", "null", lambda recipe: recipe.num_shots is None),
        ("rand_augment", "rand-m9-n2", lambda recipe: recipe.augment.rand_augment == "rand-m9-n2"),
        ("rand_augment", "null", lambda recipe: recipe.augment.rand_augment is None),
        ("erasing_probability", "0.5", lambda recipe: recipe.augment.erasing_probability == 0.5),
        ("template_en", "a video about {}.", lambda recipe: recipe.model.template_en == "a video about {}."),
        ("template_en", "the video is about {}.", lambda recipe: recipe.model.template_en == "the video is about {}."),
        ("supervision", "english", lambda recipe: recipe.model.supervision == "english"),
        ("tune_image_tower", "true", lambda recipe: recipe.model.adapters.tune_image_tower),
        ("global_prompts", "per_frame", lambda recipe: recipe.model.adapters.global_prompts == "per_frame"),
        ("beta", "none", lambda recipe: recipe.model.adapters.beta == "none"),
        ("beta_units", "1", lambda recipe: recipe.model.adapters.beta_units == 1),
        ("beta_layout", "line", lambda recipe: recipe.model.adapters.beta_layout == "line"),
    ],
)
def test_settings_reach_their_fields(key: str, text: str, reach: object) -> None:
    recipe: Recipe = override(find_recipe("dual_semantic_few_shot"), {key: text})
    assert callable(reach)
    assert reach(recipe)


def test_number_of_shots_below_one_is_refused() -> None:
    with pytest.raises(SettingError, match="num_shots is 0; it must be at least 1, or null for all videos"):
        override(find_recipe("dual_semantic_few_shot"), {"num_shots": "0"})
