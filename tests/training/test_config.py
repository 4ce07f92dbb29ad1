"""Configs that contradict themselves are refused with the values."""

from dataclasses import replace

import pytest

from tests.training.tiny import CHINESE, CLIP, MODEL, PROMPTS


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


def test_clip_has_frames() -> None:
    with pytest.raises(ValueError, match="num_frames is 0; a clip has at least one frame"):
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
    ("changes", "message"),
    [
        (
            {"method": "vanilla"},
            "method is 'vanilla', temporal_prompts is TemporalPromptConfig.* and tune_image_tower is False; only",
        ),
        (
            {"method": "vanilla", "temporal_prompts": None, "tune_image_tower": True},
            "temporal_prompts is None and tune_image_tower is True; only dual_semantic has these",
        ),
    ],
)
def test_method_goes_with_its_adapters(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(MODEL, **changes)  # type: ignore[arg-type]
