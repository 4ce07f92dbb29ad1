"""Changing single fields of a config from the command line: ``--set key=value``.

A key is the name of a field, wherever it is nested. Sizes of towers and preprocessing belong to the backbone and cannot
be set.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar, get_type_hints

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from training.errors import SettingError

_FIXED = frozenset({"name", "kind", "clip", "chinese", "preprocessing"})
Config = TypeVar("Config")


def parse_settings(texts: Sequence[str]) -> dict[str, str]:
    """Split ``key=value`` texts.

    Raises:
        SettingError: a text has no ``=``, or a key is given twice.
    """
    settings: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise SettingError(f"--set {text!r} must be written key=value")
        if key in settings:
            raise SettingError(f"--set {key} is given twice, as {settings[key]!r} and {value!r}; keep one")
        settings[key] = value
    return settings


def override(config: Config, settings: Mapping[str, str]) -> Config:
    """Return a config with some fields replaced; values are read by the fields' types.

    Raises:
        SettingError: an unknown key, with those that are allowed; a value of another type; or values that do not fit
            each other.
    """
    allowed = sorted(list_settings(config))
    if unknown := sorted(set(settings) - set(allowed)):
        raise SettingError(f"--set does not know {', '.join(unknown)}; allowed are {', '.join(allowed)}")
    try:
        return _replace(config, settings)
    except ValueError as error:
        raise SettingError(f"--set leads to an impossible config: {error}") from error


def list_settings(config: object) -> Iterator[str]:
    """Iterate over the names of the fields that can be set."""
    for name, value in _open_fields(config):
        if is_dataclass(value):
            yield from list_settings(value)
        else:
            yield name


def _replace(config: Config, settings: Mapping[str, str]) -> Config:
    hints = get_type_hints(type(config))
    changes: dict[str, Any] = {}
    for name, value in _open_fields(config):
        if is_dataclass(value):
            changes[name] = _replace(value, settings)
        elif name in settings:
            changes[name] = _parse(settings[name], key=name, kind=hints[name])
    return replace(config, **changes)  # type: ignore[type-var]


def _parse(text: str, *, key: str, kind: Any) -> Any:  # noqa: ANN401
    """Read a value as JSON where the text is JSON, else as the text itself."""
    adapter: TypeAdapter[Any] = TypeAdapter(kind)
    with suppress(ValueError):
        return adapter.validate_python(from_json(text))
    try:
        return adapter.validate_python(text)
    except ValidationError as error:
        raise SettingError(f"--set {key}={text}: {error.errors()[0]['msg']}") from error


def _open_fields(config: object) -> Iterator[tuple[str, Any]]:
    assert is_dataclass(config)
    return ((each.name, getattr(config, each.name)) for each in fields(config) if each.name not in _FIXED)
