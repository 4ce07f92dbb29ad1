"""A finished bundle under another server configuration: same graphs, same answers, other devices and queues."""

import os
import shutil
from pathlib import Path

from pydantic import BaseModel, TypeAdapter, ValidationError

from service.contract.graphs import find_format, graph_specs
from service.contract.layout import MANIFEST_NAME, config_file
from service.contract.manifest import open_bundle
from training.errors import DataError
from training.export.bundle import replacing_bundle, write_manifest
from training.export.triton import Deployment, render_triton_config
from training.files.texts import read_json


def configure_bundle(directory: Path, out: Path, *, deployment: Deployment) -> Path:
    """Copy a bundle with the ``config.pbtxt`` that a deployment asks for; ``out`` may be the bundle itself.

    Large files are linked, not copied, where the file system allows it.

    Raises:
        BundleError: the bundle does not verify, or ``out`` holds something else than a bundle.
        ValueError: the deployment does not go with the bundle's format.
    """
    manifest = open_bundle(directory).manifest
    configs = {
        spec.name: render_triton_config(spec, graph_format=find_format(manifest), deployment=deployment)
        for spec in graph_specs(manifest)
    }
    with replacing_bundle(out) as folder:
        shutil.copytree(directory, folder, copy_function=_link, dirs_exist_ok=True)
        for name, config in configs.items():
            # A link shares its content with the original, so it is replaced, never written through.
            (folder / config_file(name)).unlink()
            (folder / config_file(name)).write_text(config, encoding="utf-8")
        (folder / MANIFEST_NAME).unlink()
        write_manifest(folder, manifest)
    return out


class _EncodeTime(BaseModel):
    num_views: int
    call_ms: float


def read_encode_seconds(report: Path) -> dict[int, float]:
    """Read what a call of the video encoder took, by its number of views, from a report of ``duoact bench``.

    Raises:
        DataError: the file cannot be read, or holds no such times.
    """
    values = read_json(report)
    try:
        times = TypeAdapter(list[_EncodeTime]).validate_python(
            values.get("encode") if isinstance(values, dict) else None
        )
    except ValidationError as error:
        raise DataError(
            f"{report} has no encode times ({error.error_count()} problems); give what `duoact bench --out` wrote"
        ) from error
    if not times:
        raise DataError(f"{report} has an empty list of encode times; measure a bundle, not a running service")
    return {each.num_views: each.call_ms / 1000 for each in times}


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
