"""A miniature model and bundles of it, exported once a session, since an export takes seconds."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.training.export.miniature import BILINGUAL, ENGLISH, FUSION, LABELS, PROVENANCE, build_miniature
from training.export.bundle import export_bundle
from training.models.video_clip import VideoCLIP


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
