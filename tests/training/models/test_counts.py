"""Parameters and multiply-accumulates of the published sizes, counted without weights."""

from dataclasses import replace

import pytest
import torch

from training.config.adapters import (
    Adapters,
    Beta,
    BetaLayout,
    DeepPromptConfig,
    FineTuningConfig,
    Fusion,
    Mode,
    NoAdapters,
    TemporalEmbeddingConfig,
    TemporalPromptConfig,
)
from training.config.model import ModelConfig
from training.errors import SettingError
from training.models.builders import build_model
from training.models.card import configure_method, describe_model
from training.models.compute import count_macs_per_view
from training.models.freezing import parameter_groups
from training.recipes.vificlip import vificlip_k400

BETA, NO_BETA = TemporalPromptConfig(), TemporalPromptConfig(beta="none")


def trainable(prompts: TemporalPromptConfig, *, num_frames: int) -> int:
    with torch.device("meta"):
        model = build_model(ModelConfig(num_frames=num_frames, adapters=prompts))
    return sum(parameter.numel() for parameter in model.trainable_parameters())


@pytest.mark.parametrize(
    ("num_frames", "expected"), [(4, 54_191_232), (8, 54_231_168), (16, 54_311_040), (32, 54_470_784)]
)
def test_trainable_parameters_by_frames(num_frames: int, expected: int) -> None:
    assert trainable(BETA, num_frames=num_frames) == expected


@pytest.mark.parametrize(
    ("num_global_prompts", "expected"), [(5, 54_203_520), (8, 54_231_168), (10, 54_249_600), (12, 54_268_032)]
)
def test_trainable_parameters_by_global_prompts(num_global_prompts: int, expected: int) -> None:
    assert trainable(replace(BETA, num_global_prompts=num_global_prompts), num_frames=8) == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"beta": "none"}, 35_607_552),
        ({"beta": "mlp"}, 39_748_224),
        ({"beta": "mlp", "beta_width": 1008}, 54_208_320),
        ({"beta": "lstm"}, 47_016_576),
        ({"beta": "transformer"}, 54_268_800),
        ({"beta": "tada"}, 53_622_336),
        ({"beta": "c3d", "beta_units": 1}, 56_013_312),
        ({"beta": "c3d", "beta_units": 1, "beta_width": 192}, 51_108_864),
        ({"beta": "r2plus1d"}, 54_231_168),
        ({"residual": False, "zero_init_beta": False}, 54_231_168),
        ({"global_prompts": "per_frame"}, 54_231_168 + 516_096),
        ({"beta": "none", "global_prompts": "per_frame"}, 35_607_552 + 516_096),
    ],
)
def test_trainable_parameters_of_variants(changes: dict[str, object], expected: int) -> None:
    assert trainable(replace(BETA, **changes), num_frames=8) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize("layout", ["line", "plane"])
@pytest.mark.parametrize(("beta", "expected"), [("tada", 53_622_336), ("c3d", 72_278_400), ("r2plus1d", 54_231_168)])
def test_layouts_have_equal_parameters(beta: Beta, layout: BetaLayout, expected: int) -> None:
    assert trainable(replace(BETA, beta=beta, beta_layout=layout), num_frames=8) == expected
    assert trainable(replace(BETA, beta=beta), num_frames=8) == expected


@pytest.mark.parametrize(
    ("adapters", "groups"),
    [
        (NO_BETA, {"temporal_prompts": (35_607_552, 0), "video": (0, 86_192_640)}),
        (TemporalEmbeddingConfig(), {"temporal_prompts": (6_144, 0), "video": (0, 86_192_640)}),
        (
            TemporalEmbeddingConfig(tune_image_tower=True),
            {"temporal_prompts": (6_144, 0), "video": (86_192_640, 0)},
        ),
        (NoAdapters(), {"video": (0, 86_192_640)}),
        (
            replace(BETA, beta="lstm", tune_image_tower=True),
            {
                "temporal_prompts": (35_607_552, 0),
                "reparameterization": (11_409_024, 0),
                "video": (86_192_640, 0),
            },
        ),
    ],
)
def test_groups_of_variants_without_chinese(adapters: Adapters, groups: dict[str, tuple[int, int]]) -> None:
    with torch.device("meta"):
        model = build_model(ModelConfig(supervision="english", adapters=adapters))
    assert parameter_groups(model) == {**groups, "english": (0, 63_428_096)}


FINE_TUNED = vificlip_k400().model
RELEASED = (DeepPromptConfig(num_vision_tokens=10, num_text_tokens=10, depth=12),
            DeepPromptConfig(num_vision_tokens=16, num_text_tokens=16, depth=9))  # fmt: skip


def prompted(prompts: DeepPromptConfig) -> ModelConfig:
    return replace(FINE_TUNED, adapters=prompts)


@pytest.mark.parametrize(
    ("mode", "groups"),
    [
        ("full", {"video": (86_192_640, 0), "english": (38_131_200, 25_296_896), "logit_scale": (1, 0)}),
        ("image", {"video": (86_192_640, 0), "english": (0, 63_428_096), "logit_scale": (0, 1)}),
        ("text", {"video": (0, 86_192_640), "english": (38_131_200, 25_296_896), "logit_scale": (0, 1)}),
    ],
)
def test_groups_of_fine_tuned_clip(mode: Mode, groups: dict[str, tuple[int, int]]) -> None:
    assert describe_model(replace(FINE_TUNED, adapters=FineTuningConfig(mode=mode))).groups == groups


@pytest.mark.parametrize(("mode", "expected"), [("full", 124_323_841), ("image", 86_192_640), ("text", 38_131_200)])
def test_trainable_parameters_by_mode(mode: Mode, expected: int) -> None:
    assert describe_model(replace(FINE_TUNED, adapters=FineTuningConfig(mode=mode))).trainable_parameters == expected


@pytest.mark.parametrize(("prompts", "expected"), [(RELEASED[0], 153_600), (RELEASED[1], 184_320)])
def test_prompts_are_all_that_prompting_trains(prompts: DeepPromptConfig, expected: int) -> None:
    card = describe_model(prompted(prompts))
    assert (card.trainable_parameters, card.groups["vl_prompts"]) == (expected, (expected, 0))


@pytest.mark.parametrize("fusion", ["embedding", "decision", "image"])
def test_multiply_accumulates_of_fine_tuned_clip(fusion: Fusion) -> None:
    assert (
        describe_model(replace(FINE_TUNED, num_frames=16, adapters=FineTuningConfig(fusion=fusion))).gmacs_per_view
        == 281.015
    )


@pytest.mark.parametrize(("prompts", "gmacs"), [(RELEASED[0], 295.8), (RELEASED[1], 304.7)])
def test_multiply_accumulates_of_prompted_clip(prompts: DeepPromptConfig, gmacs: float) -> None:
    assert round(describe_model(replace(prompted(prompts), num_frames=16)).gmacs_per_view, 1) == gmacs


def test_multiply_accumulates_of_the_printed_prompts() -> None:
    prompts = replace(RELEASED[0], num_vision_tokens=4)
    assert describe_model(replace(prompted(prompts), num_frames=16)).gmacs_per_view == pytest.approx(286.92, abs=0.005)


@pytest.mark.parametrize("method", ["vificlip", "vl_prompting"])
def test_method_is_configured_on_any_architecture(method: str) -> None:
    config = configure_method(method, architecture="ViT-L-14-quickgelu", num_frames=4)
    assert (config.method, config.num_frames, config.preprocessing.input_size) == (method, 4, 224)
    assert describe_model(config).trainable_parameters > 0


def test_prompts_beyond_an_architecture_are_refused() -> None:
    with pytest.raises(SettingError, match="depth is 13, but the image tower has 12 layers; lower it"):
        describe_model(prompted(DeepPromptConfig(depth=13)))


def test_groups_of_the_default_model() -> None:
    with torch.device("meta"):
        model = build_model(ModelConfig())
    assert parameter_groups(model) == {
        "temporal_prompts": (35_607_552, 0),
        "reparameterization": (18_623_616, 0),
        "video": (0, 86_192_640),
        "english": (0, 63_428_096),
        "chinese": (0, 102_070_272),
    }


@pytest.mark.parametrize(
    ("adapters", "num_frames", "gmacs"),
    [
        (BETA, 4, 73.40),
        (BETA, 8, 148.546),
        (BETA, 16, 303.432),
        (BETA, 32, 635.69),
        (NO_BETA, 4, 72.26),
        (NO_BETA, 8, 145.673),
        (NO_BETA, 16, 296.000),
        (NO_BETA, 32, 610.85),
        (NoAdapters(), 4, 70.25),
        (NoAdapters(), 8, 140.508),
        (NoAdapters(), 16, 281.015),
        (NoAdapters(), 32, 562.031),
    ],
)
def test_multiply_accumulates_of_a_view(adapters: Adapters, num_frames: int, gmacs: float) -> None:
    config = ModelConfig(num_frames=num_frames, adapters=adapters)
    assert count_macs_per_view(config) / 1e9 == pytest.approx(gmacs, abs=0.006 if gmacs * 1000 % 10 < 1e-6 else 0.0006)


@pytest.mark.parametrize(
    ("architecture", "macs"),
    [
        ("ViT-B-32-quickgelu", 4_408_811_520),
        ("ViT-B-16-quickgelu", 17_563_453_440),
        ("ViT-L-14-quickgelu", 81_012_768_768),
    ],
)
def test_multiply_accumulates_of_a_frame(architecture: str, macs: int) -> None:
    config = configure_method("vanilla", architecture=architecture, num_frames=1)
    assert count_macs_per_view(config) == macs


@pytest.mark.parametrize(
    ("beta", "num_units", "macs_per_token"),
    [
        ("mlp", 1, 2 * 768 * 224),
        ("lstm", 2, 2 * 768 * 224 + 2 * 2 * 4 * 112 * (224 + 112)),
        ("transformer", 2, 2 * 768 * 224 + 2 * (12 * 224**2 + 2 * 8 * 17 * 224)),
    ],
)
def test_multiply_accumulates_of_token_blocks(beta: Beta, num_units: int, macs_per_token: int) -> None:
    plain = ModelConfig(adapters=NO_BETA)
    config = ModelConfig(adapters=replace(BETA, beta=beta, beta_units=num_units))
    assert count_macs_per_view(config) - count_macs_per_view(plain) == 12 * 8 * 17 * macs_per_token
