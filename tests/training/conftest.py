"""Tiny backbones, data, models and bundles, made once a session, since each takes seconds; tests only read them."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.tracing import untraced
from tests.training.export.miniature import BILINGUAL, ENGLISH, FUSION, LABELS, PROVENANCE, build_miniature
from tests.training.tiny import write_tiny_backbone, write_tiny_data
from training.data.annotations import VideoData, read_video_data
from training.export.bundle import export_bundle
from training.models.video_clip import VideoCLIP


@pytest.fixture(scope="session", autouse=True)
def exporter_is_not_measured() -> Iterator[None]:
    """Leave the exporter out of the measurement: for seconds it interprets torch's own Python, and little of ours."""
    measured = torch.onnx.export

    def export(*arguments: Any, **settings: Any) -> Any:  # noqa: ANN401 - as in the library
        with untraced():
            return measured(*arguments, **settings)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.onnx, "export", export)
        yield


@pytest.fixture(scope="session")
def backbone_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_backbone(tmp_path_factory.mktemp("towers") / "backbone")


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> VideoData:
    return read_video_data(write_tiny_data(tmp_path_factory.mktemp("videos") / "data"))


@pytest.fixture(scope="session")
def frames_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("frames")


@pytest.fixture(scope="session")
def model() -> VideoCLIP:
    return build_miniature()


@pytest.fixture(scope="session")
def english_model() -> VideoCLIP:
    return build_miniature(replace(BILINGUAL, chinese=None))


@pytest.fixture(scope="session")
def bundle(model: VideoCLIP, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("onnx") / "mini"
    return export_bundle(model, out, name="mini", label_sets={"shapes": LABELS}, fusion=FUSION, provenance=PROVENANCE)


@pytest.fixture(scope="session")
def script_bundle(model: VideoCLIP, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("torchscript") / "mini"
    return export_bundle(
        model, out, name="mini", label_sets={}, fusion=FUSION, provenance=PROVENANCE, format="torchscript"
    )


@pytest.fixture(scope="session")
def english_bundle(english_model: VideoCLIP, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("english") / "mini"
    return export_bundle(
        english_model, out, name="mini", label_sets={}, fusion=ENGLISH, provenance=PROVENANCE, format="torchscript"
    )
