"""Configs that contradict themselves are refused with the values."""

from dataclasses import replace

import pytest

from service.contract.manifest import Sampling
from tests.training.fine_tuned import FINE_TUNED, PROMPTED, fine_tuned, prompted
from tests.training.side import side_config
from tests.training.tiny import CHINESE, CLIP, MODEL, PROMPTS, RECIPE
from training.config.adapters import NoAdapters
from training.config.fitting import FitConfig
from training.config.model import ModelConfig, ScoringConfig


@pytest.mark.parametrize(
    ("whole", "part"),
    [
        ("image_size_pixels", "patch_size_pixels"),
        ("vision_width", "vision_heads"),
        ("text_width", "text_heads"),
    ],
)
def test_clip_sizes_divide_each_other(whole: str, part: str) -> None:
    with pytest.raises(ValueError, match=f"{whole} is {getattr(CLIP, whole)} and {part} is 5, but {part} must divide"):
        replace(CLIP, **{part: 5})  # type: ignore[arg-type]


def test_chinese_heads_divide_the_width() -> None:
    with pytest.raises(ValueError, match="width is 16 and num_heads is 5, but num_heads must divide width"):
        replace(CHINESE, num_heads=5)


def test_sampling_follows_the_config() -> None:
    assert MODEL.sampling == Sampling(rule="segment_centres", num_frames=4, num_local_frames=1)
    config = side_config(num_local_frames=3)
    config = replace(config, sampling_rule="rounded_segments")
    assert config.sampling == Sampling(rule="rounded_segments", num_frames=4, num_local_frames=3)


def test_clip_has_frames() -> None:
    with pytest.raises(ValueError, match="num_frames is 0; a clip of method 'dual_semantic' has at least 1 of them"):
        replace(MODEL, num_frames=0)


@pytest.mark.parametrize("name", ["num_global_prompts", "beta_width", "beta_units"])
def test_temporal_prompts_have_sizes(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} is 0; it must be at least 1"):
        replace(PROMPTS, **{name: 0})  # type: ignore[arg-type]


@pytest.mark.parametrize(("beta", "divisor"), [("lstm", 2), ("transformer", 4), ("tada", 4)])
def test_width_of_beta_can_be_split(beta: str, divisor: int) -> None:
    message = f"beta is {beta!r} and beta_width is 27; it must be a multiple of {divisor}"
    with pytest.raises(ValueError, match=message):
        replace(PROMPTS, beta=beta, beta_width=27)  # type: ignore[arg-type]


def test_beta_without_residual_does_not_start_at_zero() -> None:
    with pytest.raises(
        ValueError, match="residual is off and zero_init_beta is on, so every prompt would start at zero"
    ):
        replace(PROMPTS, residual=False)


@pytest.mark.parametrize(
    ("config", "changes", "message"),
    [
        (FINE_TUNED, {"supervision": "dual"}, "method is 'vificlip' and supervision is 'dual'; it must be 'english'"),
        (FINE_TUNED, {"scoring": MODEL.scoring}, "aggregation is 'word_weighted'; it must be 'mean'"),
        (
            PROMPTED,
            {"scoring": ScoringConfig(aggregation="mean")},
            "method is 'vl_prompting' and renormalise is True; it must be False",
        ),
        (MODEL, {"adapters": FINE_TUNED.adapters}, "method is 'vificlip' and supervision is 'dual'; it must be"),
        (MODEL, {"num_frames": 0}, "num_frames is 0; a clip of method 'dual_semantic' has at least 1"),
    ],
)
def test_method_has_the_texts_the_scoring_and_the_frames_that_it_needs(
    config: ModelConfig, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        replace(config, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("config", "expected"),
    [(MODEL, 4), (FINE_TUNED, 1), (PROMPTED, 1), (fine_tuned(fusion="decision"), 4),
     (prompted(fusion="image"), 4), (FINE_TUNED.without_adapters(), 4)],
)  # fmt: skip
def test_pooled_clip_has_one_feature(config: ModelConfig, expected: int) -> None:
    assert config.num_frame_features == expected


@pytest.mark.parametrize("config", [MODEL, PROMPTED, fine_tuned(mode="text", fusion="image")])
def test_config_without_adapters_is_vanilla(config: ModelConfig) -> None:
    plain = config.without_adapters()
    assert (plain.method, plain.scoring.aggregation, plain.adapters) == ("vanilla", "mean", NoAdapters())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"final_learning_rate_share": 1.5}, "final_learning_rate_share is 1.5; it lies between 0 and 1"),
        ({"mix_switch_probability": -0.1}, "mix_switch_probability is -0.1; it lies between 0 and 1"),
        ({"mixup_alpha": -1.0}, "mixup_alpha is -1.0; it must be above 0, or 0 to leave clips alone"),
        ({"cutmix_alpha": -1.0}, "cutmix_alpha is -1.0; it must be above 0"),
        ({"adam_eps": 0.0}, "adam_eps is 0.0; it must be above 0"),
        ({"max_gradient_norm": 0.0}, "max_gradient_norm is 0.0; both must be above 0"),
        ({"clips_per_pass": 0}, "clips_per_pass is 0; it must be at least 1, or null for all at once"),
        ({"repeated_augmentation": 0}, "repeated_augmentation is 0; it must be at least 1"),
    ],
)
def test_fit_has_possible_rates(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FitConfig(**changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mixup_alpha": 0.8}, "mixup_alpha is 0.8 and cutmix_alpha is 0.0, but the contrastive loss of dual_semantic"),
        ({"cutmix_alpha": 1.0}, "mixup_alpha is 0.0 and cutmix_alpha is 1.0, but the contrastive loss"),
        ({"clips_per_pass": 2}, "clips_per_pass is 2, but the contrastive loss of dual_semantic takes all clips of a"),
    ],
)
def test_contrastive_loss_takes_whole_clips_together(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(RECIPE, fit=replace(RECIPE.fit, **changes))  # type: ignore[arg-type]
