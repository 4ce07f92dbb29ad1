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
    monkeypatch.setenv("DUOACT_API_KEYS", "first-key, second-key,,")
    settings = Settings.load()
    assert [key.get_secret_value() for key in settings.api_keys] == ["first-key", "second-key"]
    assert "first-key" not in repr(settings)


@pytest.mark.parametrize("value", [",", ", ,", " "])
def test_list_of_keys_without_a_key_is_refused(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUOACT_API_KEYS", value)
    with pytest.raises(SettingsError, match=r"DUOACT_API_KEYS is .*it holds no key; give keys separated by commas"):
        Settings.load()


@pytest.mark.parametrize(
    ("host", "is_refused"),
    [("0.0.0.0", True), ("::", True), ("gateway.example", True), ("127.0.0.1", False), ("::1", False),
     ("localhost", False)],
)  # fmt: skip
def test_empty_list_of_keys_opens_nothing_to_others(
    host: str, is_refused: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DUOACT_API_KEYS", "")
    if not is_refused:
        assert Settings.load(host=host).read_api_keys() == ()
        return
    with pytest.raises(SettingsError, match=f"DUOACT_API_KEYS is set and empty, and others can reach {host}"):
        Settings.load(host=host)
    (tmp_path / "keys").write_text("one", encoding="utf-8")
    assert Settings.load(host=host, api_keys_file=tmp_path / "keys").read_api_keys() == ("one",)


def test_keys_of_a_file_stand_one_a_line(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("third\n\n fourth \n", encoding="utf-8")
    settings = Settings.load(api_keys="first", api_keys_file=tmp_path / "keys")
    assert settings.read_api_keys() == ("first", "third", "fourth")
    assert Settings.load(api_keys_file="").read_api_keys() == ()


@pytest.mark.parametrize(
    ("content", "message"), [(b"\n", "holds no key; write one a line"), (b"\xff", "cannot be read")]
)
def test_file_without_keys_lets_nobody_start(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "keys").write_bytes(content)
    with pytest.raises(SettingsError, match=f"DUOACT_API_KEYS_FILE .*{message}"):
        Settings.load(api_keys_file=tmp_path / "keys").read_api_keys()


@pytest.mark.parametrize("name", ["api_keys_file", "upload_dir"])
def test_path_that_is_not_there_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError, match=f"DUOACT_{name.upper()} is .*does not point to a"):
        Settings.load(**{name: tmp_path / "none"})


def test_cache_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUOACT_CACHE_DIR", "")
    assert Settings.load().cache_dir is None
    assert Settings.load(cache_dir=Path("~no such user/x")).cache_dir is None


def test_empty_address_and_files_of_triton_are_none() -> None:
    settings = Settings.load(triton="", triton_root_certificates="", triton_certificate_chain="", triton_private_key="")
    files = (settings.triton_root_certificates, settings.triton_certificate_chain, settings.triton_private_key)
    assert (settings.triton, *files) == (None, None, None, None)


@pytest.mark.parametrize("address", ["localhost:8001", "triton.gpu.svc:8001", "10.0.0.7:1", "[::1]:8001"])
def test_address_of_triton_is_host_and_port(address: str) -> None:
    assert Settings.load(triton=address).triton == address


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("port", "many", "DUOACT_PORT is 'many': Input should be a valid integer"),
        ("port", 70000, "DUOACT_PORT is 70000: Input should be less than or equal to 65535"),
        ("workers", 0, "DUOACT_WORKERS is 0: Input should be greater than 0"),
        ("encoder_precision", "int4", "DUOACT_ENCODER_PRECISION is 'int4': Input should be 'auto', 'f32' or 'bf16'"),
        ("triton", "http://gpu:8000", "DUOACT_TRITON is 'http://gpu:8000': String should match pattern"),
        ("triton", "gpu", "DUOACT_TRITON is 'gpu': String should match pattern"),
        ("triton_model_version", "0", "DUOACT_TRITON_MODEL_VERSION is '0': String should match pattern"),
        (
            "triton_private_key",
            f"{__file__}/key",
            f"DUOACT_TRITON_PRIVATE_KEY is '{__file__}/key': Path does not point to a f",
        ),
        ("colour", "red", "DUOACT_COLOUR is 'red': Extra inputs are not permitted"),
    ],
)
def test_impossible_setting_is_named_with_its_value(name: str, value: object, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        Settings.load(**{name: value})


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("DUOACT_API_KEY", "^DUOACT_API_KEY is no setting: did you mean DUOACT_API_KEYS\\?$"),
        ("DUOACT_QUX", "^DUOACT_QUX is no setting: take it out of the environment$"),
    ],
)
def test_variable_that_is_no_setting_is_named_without_its_value(
    monkeypatch: pytest.MonkeyPatch, name: str, message: str
) -> None:
    monkeypatch.setenv(name, "secret")
    with pytest.raises(SettingsError, match=message):
        Settings.load()
