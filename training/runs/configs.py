"""Configs as JSON files; what they lack has the value that was so before it could be set."""

import json
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from training.config.model import BackboneConfig, Recipe
from training.errors import RunError
from training.files.texts import render_json
from training.runs.earlier import upgrade_recipe

CONFIG_NAME = "config.json"
Config = TypeVar("Config")


def dump_config(config: object) -> dict[str, Any]:
    """Turn a config into the values that its JSON text holds."""
    values: dict[str, Any] = TypeAdapter(type(config)).dump_python(config, mode="json")
    return values


def render_config(config: object) -> str:
    """Render a config as JSON text with a final newline."""
    return render_json(dump_config(config))


def read_config(path: Path, *, kind: type[Config]) -> Config:
    """Read a config that ``render_config`` wrote.

    It may lack keys that were added after it was written, in a recipe any, in a backbone ``bridged``: their defaults
    are what was so before. A recipe that an earlier version wrote is read as well, see ``earlier``.

    Raises:
        RunError: the file is missing, or a key is missing, unknown or has an impossible value.
    """
    if not path.is_file():
        folder = "backbone" if kind is BackboneConfig else "run"
        raise RunError(f"{path.parent} is not a {folder} folder: it has no {path.name}")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if kind is BackboneConfig:
            values = {"bridged": False, **values}
        if kind is Recipe:
            values = upgrade_recipe(values)
        config = TypeAdapter(kind).validate_python(values)
    except (ValidationError, ValueError) as error:
        raise RunError(f"{path} cannot be read: {error}") from error
    rendered = dump_config(config)
    if not _covers(rendered, values) or (rendered != values and kind is not Recipe):
        raise RunError(f"{path} has keys that {kind.__name__} does not have, or lacks some; it is of another version")
    return config


def _covers(rendered: Any, values: Any) -> bool:  # noqa: ANN401
    """Whether a config says all that a file does, at every depth; it may say more."""
    if isinstance(rendered, dict) and isinstance(values, dict):
        return all(key in rendered and _covers(rendered[key], value) for key, value in values.items())
    return bool(rendered == values)
