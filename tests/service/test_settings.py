"""Settings: the environment is read, limits match the contract's, and what is impossible is named."""

from pathlib import Path

import pytest

from service.contract.decode import DecodeLimits
from service.contract.labels import LabelLimits
from service.settings import Settings, SettingsError


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CACHE_DIR", "BUNDLE", "PORT", "API_KEYS"):
        monkeypatch.delenv(f"DUOACT_{name}", raising=False)


def test_defaults_are_the_contracts_limits() -> None:
    settings, decode, labels = Settings.load(), DecodeLimits(), LabelLimits()
    assert (settings.max_pixels, settings.max_frames) == (decode.max_pixels, decode.max_frames)
    assert (settings.max_duration_seconds, settings.max_decoded_frames) == (
        decode.max_duration_seconds,
        decode.max_decoded_frames,
    )
    assert (settings.max_labels, settings.max_label_characters) == (labels.num_labels, labels.num_characters)
    assert settings.bundle == Path("model_repository/demo")
    assert settings.cache_dir == Path("~/.cache/duoact").expanduser()


def test_environment_is_read_and_arguments_win(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUOACT_PORT", "9000")
    monkeypatch.setenv("DUOACT_BUNDLE", "/from/environment")
    settings = Settings.load(bundle=Path("/from/argument"), port=None)
    assert (settings.port, settings.bundle) == (9000, Path("/from/argument"))


def test_keys_are_separated_by_commas_and_do_not_print(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUOACT_API_KEYS", "one, two,,")
    settings = Settings.load()
    assert [key.get_secret_value() for key in settings.api_keys] == ["one", "two"]
    assert "one" not in repr(settings)


def test_cache_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUOACT_CACHE_DIR", "")
    assert Settings.load().cache_dir is None
    assert Settings.load(cache_dir=Path("~no such user/x")).cache_dir is None


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("port", "many", "DUOACT_PORT is 'many': Input should be a valid integer"),
        ("port", 70000, "DUOACT_PORT is 70000: Input should be less than or equal to 65535"),
        ("workers", 0, "DUOACT_WORKERS is 0: Input should be greater than 0"),
        ("encoder_precision", "int4", "DUOACT_ENCODER_PRECISION is 'int4': Input should be 'auto', 'f32' or 'bf16'"),
        ("colour", "red", "DUOACT_COLOUR is 'red': Extra inputs are not permitted"),
    ],
)
def test_impossible_setting_is_named_with_its_value(name: str, value: object, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        Settings.load(**{name: value})
