"""Every setting of the service with a safe default; the only reader of the environment (``DUOACT_*``).

What a setting means lives here; what is done with it lives where it is used. A request may lower a limit, never raise
it.
"""

import difflib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import DirectoryPath, Field, FilePath, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from service.contract.decode import DecodeLimits
from service.contract.labels import LabelLimits
from service.http.limits import ConnectionLimits
from service.http.requests import is_loopback

Positive = Annotated[int, Field(gt=0)]
Seconds = Annotated[float, Field(gt=0.0)]
MEBIBYTE = 1 << 20
_PREFIX = "DUOACT_"
# host:port; a host of colons stands in brackets.
_ADDRESS = r"^(\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]]+):[0-9]{1,5}$"


class SettingsError(ValueError):
    """A setting from the environment or the command line has an impossible value."""


class Settings(BaseSettings):
    """The service's settings; each can be given as ``DUOACT_<NAME>`` in the environment."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, frozen=True, extra="forbid", validate_default=True)

    bundle: Path = Path("model_repository/demo")
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    workers: Positive = 2
    cache_dir: Path | None = Path("~/.cache/duoact")
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    api_keys: Annotated[tuple[SecretStr, ...], NoDecode] = ()
    api_keys_file: FilePath | None = None

    encoder_precision: Literal["auto", "f32", "bf16"] = "auto"
    encoder_threads: Annotated[int, Field(ge=0)] = 0
    canary_period_seconds: Seconds = 30.0

    triton: Annotated[str, Field(pattern=_ADDRESS)] | None = None
    triton_timeout_seconds: Seconds = 30.0
    triton_model_version: Annotated[str, Field(pattern=r"^([1-9][0-9]*|latest)$")] = "1"
    triton_shared_memory: bool = False
    triton_tls: bool = False
    triton_root_certificates: FilePath | None = None
    triton_certificate_chain: FilePath | None = None
    triton_private_key: FilePath | None = None

    upload_dir: DirectoryPath | None = None
    upload_quota_bytes: Positive = 2048 * MEBIBYTE
    max_upload_bytes: Positive = 100 * MEBIBYTE
    max_field_bytes: Positive = 8 * MEBIBYTE
    max_duration_seconds: Seconds = DecodeLimits.max_duration_seconds
    max_pixels: Positive = DecodeLimits.max_pixels
    max_frames: Positive = DecodeLimits.max_frames
    max_decoded_frames: Positive = DecodeLimits.max_decoded_frames
    max_views: Positive = 30
    max_labels: Positive = LabelLimits.num_labels
    max_label_characters: Positive = LabelLimits.num_characters
    max_template_characters: Positive = 256

    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    max_connections: Positive = ConnectionLimits.num_connections
    header_seconds: Seconds = ConnectionLimits.header_seconds
    body_grace_seconds: Seconds = ConnectionLimits.grace_seconds
    min_upload_bytes_per_second: Positive = ConnectionLimits.min_bytes_per_second

    client_requests_per_minute: Annotated[int, Field(ge=0)] = 0
    client_concurrent_requests: Annotated[int, Field(ge=0)] = 0
    max_uploads: Positive = 256
    max_concurrent_requests: Positive = 4
    max_queue_length: Annotated[int, Field(ge=0)] = 16
    deadline_seconds: Seconds = 60.0
    drain_delay_seconds: Annotated[float, Field(ge=0.0)] = 1.0
    drain_limit_seconds: Positive = 30

    label_cache_bytes: Positive = 256 * MEBIBYTE
    label_store_bytes: Annotated[int, Field(ge=MEBIBYTE)] = 224 * MEBIBYTE
    video_cache_bytes: Positive = 64 * MEBIBYTE

    redis_url: SecretStr | None = None
    redis_timeout_seconds: Seconds = 0.25
    redis_request_seconds: Seconds = 1.0
    redis_rest_seconds: Seconds = 5.0
    redis_lifetime_seconds: Positive = 30 * 86_400

    @field_validator("api_keys", "allowed_hosts", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        """Read several texts separated by commas."""
        return tuple(key.strip() for key in value.split(",") if key.strip()) if isinstance(value, str) else value

    @field_validator("api_keys", mode="before")
    @classmethod
    def _require_keys(cls, value: object) -> object:
        """Refuse a list in which a key was forgotten: without one everyone may call. It runs before ``_split``."""
        if isinstance(value, str) and value and not value.strip(", "):
            raise ValueError("it holds no key; give keys separated by commas, or unset it to let everyone call")
        return value

    @field_validator(
        "api_keys_file",
        "cache_dir",
        "upload_dir",
        "redis_url",
        "triton",
        "triton_root_certificates",
        "triton_certificate_chain",
        "triton_private_key",
        mode="before",
    )
    @classmethod
    def _allow_none(cls, value: object) -> object:
        """Read an empty text as none of this kind."""
        return None if value == "" else value

    @field_validator("cache_dir")
    @classmethod
    def _expand_home(cls, value: Path | None) -> Path | None:
        """Replace ``~``; where the user has no home, nothing is kept between two starts."""
        try:
            return None if value is None else value.expanduser()
        except RuntimeError:
            return None

    def read_api_keys(self) -> tuple[str, ...]:
        """Read the keys that callers must send: those of the variable, and a line each of the file.

        Raises:
            SettingsError: the file cannot be read, or holds no key.
        """
        given = tuple(key.get_secret_value() for key in self.api_keys)
        if self.api_keys_file is None:
            return given
        named = f"{_PREFIX}API_KEYS_FILE {str(self.api_keys_file)!r}"
        try:
            lines = self.api_keys_file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{named} cannot be read: {error}") from error
        stored = tuple(line.strip() for line in lines if line.strip())
        if not stored:
            raise SettingsError(f"{named} holds no key; write one a line, or unset it to let everyone call")
        return given + stored

    @classmethod
    def load(cls, **overrides: object) -> "Settings":
        """Read the environment; overrides that are not None win.

        Raises:
            SettingsError: a value is impossible, or a variable is no setting; the message names it and what is allowed.
        """
        _refuse_unknown(os.environ, known=tuple(cls.model_fields))
        given = {name: value for name, value in overrides.items() if value is not None}
        try:
            settings = cls(**given)  # type: ignore[arg-type]
        except ValidationError as error:
            problems = "; ".join(
                f"{_PREFIX}{'_'.join(map(str, e['loc'])).upper()} is {e['input']!r}: {e['msg']}" for e in error.errors()
            )
            raise SettingsError(problems) from error
        if os.environ.get(f"{_PREFIX}API_KEYS") == "" and not (settings.api_keys_file or settings.is_private):
            raise SettingsError(
                f"{_PREFIX}API_KEYS is set and empty, and others can reach {settings.host}: put a key there, or unset "
                "it to let everyone call"
            )
        return settings

    @property
    def is_private(self) -> bool:
        """Whether the service is to listen on an address of this machine alone."""
        return self.host == "localhost" or is_loopback(self.host)


def _refuse_unknown(environment: Iterable[str], *, known: Sequence[str]) -> None:
    """Refuse a misspelt variable, which would otherwise leave a default in force; its value may be a secret."""
    given = (name for name in environment if name.startswith(_PREFIX))
    unknown = sorted(name for name in given if name.removeprefix(_PREFIX).lower() not in known)
    if unknown:
        raise SettingsError("; ".join(f"{name} is no setting: {_advise(name, known=known)}" for name in unknown))


def _advise(name: str, *, known: Sequence[str]) -> str:
    nearest = difflib.get_close_matches(name.removeprefix(_PREFIX).lower(), known, n=1)
    return f"did you mean {_PREFIX}{nearest[0].upper()}?" if nearest else "take it out of the environment"
