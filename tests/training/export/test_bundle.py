from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import torch

from service.contract.errors import BundleError
from service.contract.label_banks import BankKey, read_label_bank
from service.contract.labels import Label
from service.contract.manifest import Lambda, Sampling, Scoring, open_bundle
from service.encoders.embedded import EngineOptions, load_embedded_encoders
from tests.training.export.miniature import FUSION, LABELS, PROVENANCE, build_miniature
from training.export.bundle import export_bundle
from training.export.description import describe_model, tower_digest
from training.models.label_bank import embed_labels
from training.models.video_clip import VideoCLIP


def export(
    model: VideoCLIP, out: Path, *, name: str = "mini", fusion: Lambda = FUSION, chinese_trained: bool = True
) -> Path:
    """Export as TorchScript, which takes a tenth of ONNX's time."""
    return export_bundle(
        model,
        out,
        name=name,
        label_sets={},
        fusion=fusion,
        provenance=PROVENANCE,
        chinese_trained=chinese_trained,
        format="torchscript",
    )


def list_files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_bundle_holds_graphs_tokenizers_banks_and_golden_vectors(bundle: Path) -> None:
    assert list_files(bundle) == [
        "bundle.json",
        "golden.safetensors",
        "label_banks/shapes.safetensors",
        "text_encoder_en/1/model.onnx",
        "text_encoder_en/config.pbtxt",
        "text_encoder_zh/1/model.onnx",
        "text_encoder_zh/config.pbtxt",
        "tokenizer_en.json",
        "tokenizer_zh.json",
        "video_encoder/1/model.onnx",
        "video_encoder/config.pbtxt",
    ]
    assert list_files(bundle.parent) == [f"mini/{name}" for name in list_files(bundle)]


def test_english_bundle_has_no_chinese_files(english_bundle: Path) -> None:
    assert [name for name in list_files(english_bundle) if "zh" in name] == []
    assert open_bundle(english_bundle).manifest.chinese is None


def test_manifest_says_what_the_model_is(bundle: Path, model: VideoCLIP) -> None:
    manifest = open_bundle(bundle).manifest
    config = model.config
    assert (manifest.name, manifest.method, manifest.vocabulary) == ("mini", "dual_semantic", "open")
    assert manifest.backbone == "ViT, 2 layers of width 16, patches of 16 in 32 pixels"
    assert (manifest.joint_dimension, manifest.num_frame_features) == (16, 4)
    assert manifest.preprocessing == config.preprocessing
    assert manifest.sampling == Sampling(rule="segment_centres", num_frames=4)
    assert manifest.label_sets == ("shapes",)
    assert manifest.scoring == Scoring(
        aggregation="word_weighted", word_set="label_eot", renormalise=True, tau=0.01, fusion=FUSION
    )


def test_manifest_describes_both_text_towers(bundle: Path, model: VideoCLIP) -> None:
    manifest = open_bundle(bundle).manifest
    assert manifest.english.template == "This is a video about {}"
    assert manifest.chinese is not None
    assert (manifest.english.max_length, manifest.chinese.max_length) == (32, 12)
    assert (manifest.english.trained, manifest.chinese.trained) == (True, True)
    tokenizer = (bundle / "tokenizer_en.json").read_text(encoding="utf-8")
    assert manifest.english.digest == tower_digest(model.english, tokenizer=tokenizer)


def test_provenance_gains_the_exporter(bundle: Path) -> None:
    packages = {"duoact": "0.1.0", **{name: version(name) for name in ("torch", "onnx", "onnxscript")}}
    expected = PROVENANCE.model_copy(update={"package_versions": packages})
    assert open_bundle(bundle).manifest.provenance == expected


def test_digest_changes_with_every_part_of_a_tower() -> None:
    module = torch.nn.Linear(2, 2)
    digests = {tower_digest(module, tokenizer="a"), tower_digest(module, tokenizer="b")}
    with torch.no_grad():
        module.bias[0] += 1
    digests |= {tower_digest(module, tokenizer="a"), tower_digest(module.double(), tokenizer="a")}
    assert len(digests) == 4


def test_named_backbone_is_kept() -> None:
    model = build_miniature()
    model.config = replace(model.config, clip="ViT-B-16-quickgelu")
    assert model.tokenizers is not None
    manifest = describe_model(
        model, model.tokenizers, name="b", label_sets=(), fusion=FUSION, provenance=PROVENANCE, chinese_trained=True
    )
    assert manifest.backbone == "ViT-B-16-quickgelu"


def test_stored_labels_are_embedded_as_the_model_embeds_them(bundle: Path, model: VideoCLIP) -> None:
    stored = read_label_bank(bundle / "label_banks" / "shapes.safetensors")
    english = model.encode_text_en([str(label.en) for label in LABELS])
    assert stored.labels == LABELS
    assert stored.key == BankKey.of(open_bundle(bundle).manifest)
    np.testing.assert_array_equal(stored.bank.english, english.embedding.numpy())
    np.testing.assert_array_equal(stored.bank.words, english.words.numpy())
    np.testing.assert_array_equal(stored.bank.word_counts, english.word_counts.numpy())
    np.testing.assert_array_equal(
        stored.bank.chinese, model.encode_text_zh([str(label.zh) for label in LABELS]).numpy()
    )


def test_label_without_a_language_has_no_embedding_there(model: VideoCLIP) -> None:
    bank = embed_labels(model, [Label("wave"), Label(zh="圆形")], with_chinese=True)
    assert bank.word_counts is not None
    assert bank.word_counts.tolist() == [5, 0]
    assert [np.any(bank.english, axis=1).tolist(), np.any(bank.chinese, axis=1).tolist()] == [
        [True, False],
        [False, True],
    ]


@pytest.mark.parametrize(
    ("label", "with_chinese", "absent"), [(Label("wave"), True, "chinese"), (Label("wave", "右"), False, "chinese")]
)
def test_language_that_no_label_needs_is_absent(
    model: VideoCLIP, label: Label, with_chinese: bool, absent: str
) -> None:
    assert getattr(embed_labels(model, [label], with_chinese=with_chinese), absent) is None


def test_chinese_labels_alone_have_no_words(model: VideoCLIP) -> None:
    bank = embed_labels(model, [Label(zh="右")], with_chinese=True)
    assert (bank.english, bank.words, bank.word_counts) == (None, None, None)


async def test_service_finds_the_golden_answers(bundle: Path) -> None:
    encoders = load_embedded_encoders(open_bundle(bundle), options=EngineOptions(precision="f32", num_threads=1))
    await encoders.check()
    (label,) = await encoders.english.encode_texts(["waving"], template="This is a video about {}")
    bank = read_label_bank(bundle / "label_banks" / "shapes.safetensors").bank
    assert bank.english is not None
    np.testing.assert_allclose(label.embedding, bank.english[2], atol=1e-5)
    encoders.close()


def test_new_bundle_replaces_an_old_one(model: VideoCLIP, tmp_path: Path) -> None:
    out = export(model, tmp_path / "b", name="old")
    assert export(model, tmp_path / "b", name="new") == out
    assert open_bundle(out).manifest.name == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_failed_export_leaves_the_old_bundle_and_nothing_else(model: VideoCLIP, tmp_path: Path) -> None:
    out = export(model, tmp_path / "b", name="old")
    with pytest.raises(BundleError, match="video_encoder on torch, golden: largest difference nan"):
        export(_with_nan_weights(), tmp_path / "b", name="new")
    assert open_bundle(out).manifest.name == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def _with_nan_weights() -> VideoCLIP:
    model = build_miniature()
    model.video.visual.proj.data[0, 0] = float("nan")
    return model


def test_foreign_folder_is_left_alone(model: VideoCLIP, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(BundleError, match=f"{tmp_path} exists and is not a bundle: it has no bundle.json; choose"):
        export(model, tmp_path)
    assert list_files(tmp_path) == ["thesis.txt"]


def test_model_without_tokenizers_is_refused(tmp_path: Path) -> None:
    model = build_miniature()
    model.tokenizers = None
    with pytest.raises(ValueError, match="the model has no tokenizers, and a bundle needs them"):
        export(model, tmp_path / "b")


@pytest.mark.parametrize(("value", "trained"), [(0.5, False), (0.0, False)])
def test_untrained_chinese_branch_cannot_be_fused(
    model: VideoCLIP, tmp_path: Path, value: float, trained: bool
) -> None:
    fusion = Lambda(value=value, chosen="by hand")
    with pytest.raises(ValueError, match=f"lambda is {value}, but without a trained Chinese branch it must be 1"):
        export(model, tmp_path / "b", fusion=fusion, chinese_trained=trained)
