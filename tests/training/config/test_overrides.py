"""Setting single fields by key and value."""

from collections.abc import Callable

import pytest

from tests.training.tiny import RECIPE
from training.config.model import ModelConfig, Recipe
from training.config.overrides import list_settings, override, parse_settings
from training.errors import SettingError


def test_settings_are_split_at_the_first_equals_sign() -> None:
    assert parse_settings(["a=1", "template_en=x={}"]) == {"a": "1", "template_en": "x={}"}


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["beta"], "--set 'beta' must be written key=value"),
        (["beta=none", "beta=r2plus1d"], "--set beta is given twice, as 'none' and 'r2plus1d'"),
    ],
)
def test_malformed_settings_are_refused(texts: list[str], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        parse_settings(texts)


@pytest.mark.parametrize(
    ("key", "text", "read"),
    [
        ("beta", "none", lambda r: r.model.adapters.beta == "none"),
        ("beta_width", "12", lambda r: r.model.adapters.beta_width == 12),
        ("zero_init_beta", "false", lambda r: r.model.adapters.zero_init_beta is False),
        ("num_warmup_epochs", "2", lambda r: r.fit.num_warmup_epochs == 2.0),
        ("learning_rate", "1e-3", lambda r: r.fit.learning_rate == 1e-3),
        ("crop_area", "[0.25, 1]", lambda r: r.augment.crop_area == (0.25, 1.0)),
        ("template_en", "a clip of {}", lambda r: r.model.template_en == "a clip of {}"),
    ],
)
def test_field_is_found_wherever_it_is_nested(key: str, text: str, read: Callable[[Recipe], bool]) -> None:
    assert read(override(RECIPE, {key: text}))


@pytest.mark.parametrize(
    ("key", "text", "message"),
    [
        (
            "betta",
            "none",
            "--set does not know betta; allowed are adam_eps, aggregation, batch_size, beta, beta_layout, beta_units, ",
        ),
        ("clip", "RN50", "--set does not know clip; allowed are"),
        (
            "beta",
            "gru",
            "--set beta=gru: Input should be 'none', 'mlp', 'lstm', 'transformer', 'tada', 'c3d' or 'r2plus1d'",
        ),
        ("beta_width", "wide", "--set beta_width=wide: Input should be a valid integer"),
        ("num_epochs", "0", "--set leads to an impossible config: num_epochs is 0; it must be at least 1"),
    ],
)
def test_bad_setting_is_named(key: str, text: str, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        override(RECIPE, {key: text})


def test_settings_of_a_model_are_those_of_its_records() -> None:
    assert sorted(list_settings(ModelConfig())) == [
        "aggregation", "beta", "beta_layout", "beta_units", "beta_width", "global_prompts", "num_frames",
        "num_global_prompts", "projection_init", "renormalise", "residual", "sampling_rule", "supervision", "tau",
        "template_en", "template_zh", "tune_image_tower", "word_set", "zero_init_beta",
    ]  # fmt: skip


def test_no_two_fields_of_a_recipe_share_a_name() -> None:
    names = list(list_settings(RECIPE))
    assert len(names) == len(set(names))
