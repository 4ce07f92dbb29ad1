"""Importing a released checkpoint of any family as a run folder, which evaluation and export take like any other."""

import hashlib
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from service.contract.labels import Label
from training.config.model import Recipe
from training.data.annotations import LABELS_NAME
from training.errors import ImportProblem, RunError, SettingError
from training.files.folders import begin_folder
from training.files.texts import render_json, write_text
from training.importers import tds, vificlip, vita
from training.importers.backbone import PublicBackbone, read_stored_backbone, write_public_backbone
from training.importers.container import read_checkpoint
from training.importers.conversion import Converted, ImportSource, Preset
from training.importers.mapping import check_family, check_tensors
from training.importers.origin import Origin
from training.models.video_clip import VideoCLIP
from training.runs.backbone import BACKBONE_NAME
from training.runs.checkpoint import CLASSES_NAME, write_checkpoint
from training.runs.configs import CONFIG_NAME, render_config
from training.runs.curves import METRICS_NAME
from training.runs.environment import describe_environment
from training.runs.folder import DATA_NAME, ENVIRONMENT_NAME, render_labels
from training.runs.tensors import adapter_state, load_strictly

# Under which a run's backbone records the checkpoint, beside the towers'.
CHECKPOINT_ORIGIN = "checkpoint"
_CONVERTERS: Mapping[str, Callable[[ImportSource], Converted]] = MappingProxyType(
    {
        "vificlip": vificlip.convert_fine_tuned,
        "vl_prompting": vificlip.convert_prompted,
        "vita": vita.convert,
        "tds": partial(tds.convert, variant="tds"),
        "side4video": partial(tds.convert, variant="side4video"),
    }
)
FAMILIES = tuple(_CONVERTERS)
_SIDE_NETWORKS = ("tds", "side4video")
# Known by name, but not how their tensors are called.
_UNDOCUMENTED = ("bike",)


def import_checkpoint(
    family: str,
    path: Path,
    *,
    backbone_dir: Path,
    out: Path,
    num_frames: int | None = None,
    labels: Sequence[Label] | None = None,
    preset: Preset | None = None,
) -> Converted:
    """Write a run folder with a checkpoint's model.

    Args:
        family: one of ``FAMILIES``.
        path: the released file.
        backbone_dir: the towers that it was trained from.
        out: the folder, which must not exist; it appears whole or not at all.
        num_frames: T, where the file does not say it or leaves it open.
        labels: the classes that it was trained on, where the file does not name them.
        preset: whose pictures a side network was trained on.

    Raises:
        SettingError: the family is unknown, or a preset is given that it does not have.
        ImportProblem: the file is damaged, of another family, or does not fit the backbone.
        RunError: the folder exists, or the backbone is none.
    """
    _check_settings(family, preset=preset)
    if out.exists():
        raise RunError(f"{out} exists; choose another folder or remove it")
    checkpoint, towers = read_checkpoint(path), read_stored_backbone(backbone_dir)
    if family in _SIDE_NETWORKS:
        tds.check_variant(checkpoint.tensors, variant=family, source=path.name)
    check_family(checkpoint.tensors, family=family, source=path.name)
    given = ImportSource(checkpoint, towers.backbone, num_frames, None if labels is None else tuple(labels), preset)
    try:
        converted = _CONVERTERS[family](given)
    except (ValueError, IndexError, RuntimeError) as error:  # Shapes that nothing can be read off or joined by.
        raise ImportProblem(f"{path.name} has sizes that make no model: {error}") from error
    origin = Origin(
        family=family,
        source=path.name,
        sha256=checkpoint.digest,
        licence=converted.licence,
        remarks=converted.remarks,
    )
    _write_run(out, converted=converted, towers=towers, origin=origin)
    return converted


def _check_settings(family: str, *, preset: Preset | None) -> None:
    known = ", ".join(FAMILIES)
    if family in _UNDOCUMENTED:
        raise SettingError(
            f"family is {family!r}, but the layout of its checkpoints is not known well enough to read strictly; known "
            f"are {known}"
        )
    if family not in FAMILIES:
        raise SettingError(f"family is {family!r}; known are {known}")
    if preset is not None and family not in _SIDE_NETWORKS:
        raise SettingError(
            f"--preset {preset} is for {' and '.join(_SIDE_NETWORKS)}; {family} has one way to cut pictures"
        )


def _write_run(out: Path, *, converted: Converted, towers: PublicBackbone, origin: Origin) -> None:
    """Write the folder beside its place, and then put it there."""
    unfinished = begin_folder(out)
    try:
        model = _build(converted, source=origin.source)
        own = PublicBackbone(converted.backbone, {**towers.origins, CHECKPOINT_ORIGIN: origin})
        write_public_backbone(own, unfinished / BACKBONE_NAME)
        write_checkpoint(unfinished, adapters=adapter_state(model), step=0, state={})
        for name, text in _render_files(converted, origin=origin):
            write_text(unfinished / name, text=text)
        unfinished.rename(out)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _render_files(converted: Converted, *, origin: Origin) -> Iterator[tuple[str, str]]:
    """Iterate over the names and texts of a run's files beside its weights."""
    labels = render_labels(converted.labels)
    yield LABELS_NAME, labels
    if converted.model.is_closed:
        yield CLASSES_NAME, labels
    yield METRICS_NAME, ""
    yield ENVIRONMENT_NAME, render_json(describe_environment())
    yield DATA_NAME, render_json(_describe_data(converted, origin=origin))
    recipe = Recipe(name=f"imported_{origin.family}", model=converted.backbone.configure(converted.model))
    yield CONFIG_NAME, render_config(recipe)


def _build(converted: Converted, *, source: str) -> VideoCLIP:
    """Build the model and load it strictly."""
    model = converted.backbone.build(converted.model)
    expected = adapter_state(model)
    check_tensors(converted.adapters, expected=expected, source=source)
    frozen = {name: tensor for name, tensor in model.state_dict().items() if name not in expected}
    load_strictly(model, {**frozen, **converted.adapters}, source=source)
    return model


def _describe_data(converted: Converted, *, origin: Origin) -> dict[str, Any]:
    """Say what is known of the data that a checkpoint was trained on: its classes, and the checkpoint."""
    labels = render_labels(converted.labels)
    return {
        "name": re.sub(r"[^A-Za-z0-9._-]+", "_", Path(origin.source).stem),
        "digest": hashlib.sha256(labels.encode()).hexdigest(),
        "num_labels": len(converted.labels),
        "num_videos": {},
        "origin": asdict(origin),
    }
