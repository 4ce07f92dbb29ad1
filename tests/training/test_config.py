"""Configs that contradict themselves are refused with the values."""

from dataclasses import replace

import pytest

from tests.training.tiny import CHINESE, CLIP, MODEL


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


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"temporal_prompts": None},
            "method is 'dual_semantic' and temporal_prompts is None; dual_semantic needs them",
        ),
        ({"method": "vanilla"}, "method is 'vanilla' and temporal_prompts is TemporalPromptConfig"),
    ],
)
def test_method_goes_with_its_adapters(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(MODEL, **changes)  # type: ignore[arg-type]
