"""Bundles of fine-tuned and of prompted CLIP: what their manifests say, and that every engine gives their numbers."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from service.contract.layout import GraphFormat
from service.contract.manifest import Bundle, open_bundle
from service.encoders.embedded import EngineOptions, load_embedded_encoders
from tests.training.export.miniature import ENGLISH, LABELS, PROVENANCE, build_miniature
from tests.training.fine_tuned import DEEP_PROMPTS, FINE_TUNED
from tests.training.tiny import CLIP, PREPROCESSING, random_clips
from training.config.adapters import FineTuningConfig
from training.config.model import ModelConfig
from training.export.bundle import export_bundle
from training.models.video_clip import VideoCLIP

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
ON_IMAGENET = PREPROCESSING.model_copy(update={"mean": IMAGENET_MEAN, "std": IMAGENET_STD})
IMAGENET = replace(FINE_TUNED, clip=replace(CLIP, text_layers=2), preprocessing=ON_IMAGENET)
DEEP = replace(IMAGENET, template_en="{}.", adapters=replace(DEEP_PROMPTS, depth=2))
CONFIGS = {
    "embedding": IMAGENET,
    "decision": replace(IMAGENET, adapters=FineTuningConfig(fusion="decision")),
    "prompting": DEEP,
    "prompting decision": replace(DEEP, adapters=replace(DEEP_PROMPTS, depth=2, fusion="decision")),
}
LOGIT_SCALE = 3.5


def build(config: ModelConfig) -> VideoCLIP:
    """Build a model whose temperature is not where it starts."""
    model = build_miniature(config)
    assert model.logit_scale is not None
    model.logit_scale.data.fill_(LOGIT_SCALE)
    return model


def export(model: VideoCLIP, out: Path, *, graph_format: GraphFormat) -> Path:
    labels = {"shapes": LABELS}
    return export_bundle(
        model, out, name="mini", label_sets=labels, fusion=ENGLISH, provenance=PROVENANCE, format=graph_format
    )


@pytest.fixture(scope="module", params=CONFIGS, ids=str)
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[VideoCLIP, Bundle]:
    model = build(CONFIGS[request.param])
    return model, open_bundle(export(model, tmp_path_factory.mktemp("onnx") / "mini", graph_format="onnx"))


def test_manifest_says_how_features_become_scores(exported: tuple[VideoCLIP, Bundle]) -> None:
    model, bundle = exported
    manifest, scoring = bundle.manifest, bundle.manifest.scoring
    assert (manifest.method, manifest.num_frame_features) == (
        model.config.method,
        1 if model.config.adapters.fusion == "embedding" else 4,
    )
    assert (scoring.aggregation, scoring.renormalise, scoring.fusion) == ("mean", False, ENGLISH)
    assert scoring.tau == pytest.approx(float(np.exp(-LOGIT_SCALE)), rel=1e-6)
    assert (manifest.preprocessing.mean, manifest.preprocessing.std) == (IMAGENET_MEAN, IMAGENET_STD)


def test_manifest_has_no_chinese_branch_and_leaves_room_for_prompts(exported: tuple[VideoCLIP, Bundle]) -> None:
    model, bundle = exported
    manifest = bundle.manifest
    assert manifest.chinese is None
    assert [name for name in manifest.files if "zh" in name] == []
    assert manifest.english.template == model.config.template_en
    assert manifest.english.max_length == (27 if model.config.method == "vl_prompting" else 32)


def test_triton_is_told_the_number_of_features(exported: tuple[VideoCLIP, Bundle]) -> None:
    model, bundle = exported
    config = (bundle.directory / "video_encoder" / "config.pbtxt").read_text(encoding="utf-8")
    assert f'"frame_features" data_type: TYPE_FP32 dims: [ {model.config.num_frame_features}, 16 ]' in config


def test_golden_outputs_are_those_of_the_model(exported: tuple[VideoCLIP, Bundle]) -> None:
    model, bundle = exported
    golden = load_file(bundle.directory / "golden.safetensors")
    with torch.no_grad():
        features = model.eval().encode_video(torch.from_numpy(golden["frames"]))
    np.testing.assert_allclose(features.numpy(), golden["frame_features"], atol=1e-6)
    labels = ["a circle moves left", "a square grows", "waving", "clapping"]
    np.testing.assert_allclose(model.encode_text_en(labels).embedding.numpy(), golden["embedding"], atol=1e-6)


async def test_service_encodes_as_the_model_does(exported: tuple[VideoCLIP, Bundle]) -> None:
    model, bundle = exported
    encoders = load_embedded_encoders(bundle, options=EngineOptions(precision="f32", num_threads=1))
    await encoders.check()
    clips, texts = random_clips(2), ["waving", "a circle that moves and moves and moves", "x"]
    with torch.no_grad():
        expected = model.encode_video(clips).numpy()
    np.testing.assert_allclose(await encoders.video.encode_video(clips.numpy()), expected, atol=1e-5)
    found = await encoders.english.encode_texts(texts, template=model.config.template_en)
    wanted = model.encode_text_en(texts)
    np.testing.assert_allclose(np.stack([each.embedding for each in found]), wanted.embedding.numpy(), atol=1e-5)
    np.testing.assert_allclose(np.concatenate([each.words for each in found]), wanted.words.numpy(), atol=1e-5)
    assert [each.truncated for each in found] == [False, True, False]
    encoders.close()


@pytest.mark.parametrize("config", [IMAGENET, DEEP], ids=["fine-tuned", "prompted"])
def test_torchscript_is_verified_too(config: ModelConfig, tmp_path: Path) -> None:
    bundle = open_bundle(export(build(config), tmp_path / "b", graph_format="torchscript"))
    assert {"video_encoder/1/model.pt", "text_encoder_en/1/model.pt"} <= set(bundle.manifest.files)


def test_own_text_tower_has_its_own_digest(tmp_path: Path) -> None:
    digests = set()
    for number, value in enumerate((1.0, 2.0)):
        model = build(DEEP)
        next(each for name, each in model.english.named_parameters() if "prompt" in name).data.fill_(value)
        digests.add(
            open_bundle(export(model, tmp_path / str(number), graph_format="torchscript")).manifest.english.digest
        )
    assert len(digests) == 2
