"""Bundles of side networks: closed and open vocabularies, windows of frames, and the same numbers on every engine."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from service.contract.errors import BundleError
from service.contract.labels import Label
from service.contract.layout import GraphFormat
from service.contract.manifest import Bundle, Sampling, open_bundle
from service.encoders.embedded import EngineOptions, load_embedded_encoders
from tests.training.export.miniature import ENGLISH, LABELS, PROVENANCE, build_miniature
from tests.training.side import random_segments, side_config
from tests.training.tiny import CLIP
from training.config.model import ModelConfig
from training.export.bundle import export_bundle
from training.export.verify import verify_bundle
from training.models.video_clip import VideoCLIP

CLASSES = (*LABELS[:2], Label(zh="右"))
CLOSED = side_config(head="linear", num_classes=3)
OPEN = side_config()
FUSED = side_config(fuse_frozen=True, num_local_frames=3)
SINGLE = side_config(head="linear", num_classes=3, variant="side4video")
# All layers are alike, and every one takes seconds to export.
SHALLOW = replace(CLIP, vision_layers=1)
CONFIGS = {
    "closed": CLOSED,
    "open": replace(OPEN, clip=SHALLOW),
    "fused": replace(FUSED, clip=SHALLOW),
    "one frame": replace(SINGLE, clip=SHALLOW),
}
# Rows and columns of what the video tower gives, and the axis of local frames.
SHAPES = {"closed": (1, 3), "open": (1, 16), "fused": (2, 16), "one frame": (1, 3)}
WINDOWS = {"closed": (5,), "open": (5,), "fused": (3,), "one frame": ()}
# Logits of other sizes than features have: those of a trained classifier are well above 1.
LOGIT_SCALE = 30.0


def build(config: ModelConfig) -> VideoCLIP:
    model = build_miniature(replace(config, sampling_rule="rounded_segments"))
    if model.config.is_closed:
        model.classes = CLASSES
        model.video.get_parameter("head.fc.weight").data *= LOGIT_SCALE
    return model.eval()


def export(model: VideoCLIP, out: Path, *, graph_format: GraphFormat = "torchscript") -> Path:
    return export_bundle(
        model, out, name="mini", label_sets={}, fusion=ENGLISH, provenance=PROVENANCE, format=graph_format
    )


@pytest.fixture(scope="module", params=CONFIGS, ids=str)
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, VideoCLIP, Bundle]:
    model = build(CONFIGS[request.param])
    out = export(model, tmp_path_factory.mktemp("onnx") / "mini", graph_format="onnx")
    return request.param, model, open_bundle(out)


def test_manifest_names_the_classes_in_the_order_of_their_logits(exported: tuple[str, VideoCLIP, Bundle]) -> None:
    name, model, bundle = exported
    manifest = bundle.manifest
    assert manifest.method == "tds"
    assert (manifest.vocabulary, manifest.closed_vocabulary) == (
        ("closed", CLASSES) if model.config.is_closed else ("open", None)
    )
    assert (manifest.num_frame_features, manifest.feature_dimension) == SHAPES[name]
    assert (manifest.joint_dimension, manifest.chinese, manifest.scoring.fusion) == (16, None, ENGLISH)


def test_manifest_says_how_windows_are_sampled(exported: tuple[str, VideoCLIP, Bundle]) -> None:
    name, model, bundle = exported
    expected = Sampling(rule="rounded_segments", num_frames=4, num_local_frames=model.config.num_local_frames)
    assert bundle.manifest.sampling == expected
    assert (*WINDOWS[name], 1)[0] == expected.num_local_frames


def test_triton_is_told_of_windows_and_logits(exported: tuple[str, VideoCLIP, Bundle]) -> None:
    name, _, bundle = exported
    config = (bundle.directory / "video_encoder" / "config.pbtxt").read_text(encoding="utf-8")
    frames = ", ".join(map(str, (4, *WINDOWS[name], 32, 32, 3)))
    rows, columns = SHAPES[name]
    assert f'"frames" data_type: TYPE_UINT8 dims: [ {frames} ]' in config
    assert f'"frame_features" data_type: TYPE_FP32 dims: [ {rows}, {columns} ]' in config


def test_golden_outputs_are_those_of_the_model(exported: tuple[str, VideoCLIP, Bundle]) -> None:
    name, model, bundle = exported
    golden = load_file(bundle.directory / "golden.safetensors")
    assert golden["frames"].shape == (2, 4, *WINDOWS[name], 32, 32, 3)
    assert golden["frame_features"].shape == (2, *SHAPES[name])
    with torch.no_grad():
        features = model.encode_video(torch.from_numpy(golden["frames"])).numpy()
    np.testing.assert_allclose(features, golden["frame_features"], atol=1e-6, rtol=1e-5)
    largest = np.abs(features).max()
    assert largest > 5 if model.config.is_closed else largest <= 1


async def test_service_encodes_as_the_model_does(exported: tuple[str, VideoCLIP, Bundle]) -> None:
    _, model, bundle = exported
    encoders = load_embedded_encoders(bundle, options=EngineOptions(precision="f32", num_threads=1))
    await encoders.check()
    clips = random_segments(3, config=model.config)
    clips = clips if model.config.num_local_frames > 1 else clips.squeeze(2)
    with torch.no_grad():
        expected = model.encode_video(clips).numpy()
    np.testing.assert_allclose(await encoders.video.encode_video(clips.numpy()), expected, atol=1e-5, rtol=1e-5)
    encoders.close()


@pytest.mark.parametrize("name", ["closed", "fused"])
def test_torchscript_is_verified_too(name: str, tmp_path: Path) -> None:
    bundle = open_bundle(export(build(CONFIGS[name]), tmp_path / "b"))
    assert "video_encoder/1/model.pt" in bundle.manifest.files


@pytest.mark.parametrize("num_names", [0, 2])
def test_every_logit_needs_a_name(num_names: int, tmp_path: Path) -> None:
    model = build(CLOSED)
    model.classes = CLASSES[:num_names]
    with pytest.raises(ValueError, match=f"logits of 3 classes and has names of {num_names}; export a run, whose fold"):
        export(model, tmp_path / "b")


def test_weights_of_another_stem_are_told_apart_by_what_they_answer(tmp_path: Path) -> None:
    out = export(build(CLOSED), tmp_path / "b")
    unpadded = build(side_config(head="linear", num_classes=3, stem_padding=0))
    assert {name: each.shape for name, each in unpadded.state_dict().items()} == {
        name: each.shape for name, each in build(CLOSED).state_dict().items()
    }
    with pytest.raises(BundleError, match=r"video_encoder on torch, golden: largest difference"):
        verify_bundle(out, model=unpadded)
