"""Public weights as commands: a backbone folder, a served bundle, and Chinese that stays off without evidence."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.torch import save_file
from typer.testing import CliRunner, Result

from service.contract.label_banks import read_label_bank
from service.contract.labels import Label
from service.contract.manifest import Lambda, Manifest, open_bundle
from service.encoders.embedded import EngineOptions, load_embedded_encoders
from tests.training.export.test_evidence import GOOD, report
from tests.training.importers.public import QUICK, draw_chinese, draw_clip, tiny_architectures, write_hugging_face
from tests.training.tiny import tiny_model
from training.commands.menu import app
from training.data.annotations import VideoData
from training.errors import SettingError
from training.export.evidence import AlignmentReport, digest_towers, measure_alignment, write_alignment
from training.export.public_bundle import choose_public_fusion, list_unread, select_label_sets
from training.importers.backbone import (
    PublicBackbone,
    build_vanilla,
    draw_random_backbone,
    read_public_backbone,
    read_stored_backbone,
)
from training.models.video_clip import VideoCLIP

__all__ = ["tiny_architectures"]
pytestmark = pytest.mark.usefixtures("tiny_architectures")
OFF = Lambda(value=1.0, chosen="the Chinese tower was not trained with this image tower")


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "200"})


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("weights")
    save_file(draw_clip(), folder / "clip.safetensors")
    return folder / "clip.safetensors", write_hugging_face(folder / "cn", draw_chinese())


@pytest.fixture(scope="module")
def towers(tiny_architectures: None, sources: tuple[Path, Path]) -> PublicBackbone:  # noqa: ARG001
    return read_public_backbone(QUICK, pretrained=str(sources[0]), chinese=str(sources[1]))


@pytest.fixture(scope="module")
def model(towers: PublicBackbone) -> VideoCLIP:
    return build_vanilla(towers, num_frames=2)


@pytest.fixture(scope="module")
def bundle(tiny_architectures: None, sources: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: ARG001
    out = tmp_path_factory.mktemp("public") / "plain"
    result = call("bundle", "--backbone", QUICK, "--pretrained", sources[0], "--chinese", sources[1], "--out", out,
                  "--label-set", "motion_shapes", "--frames", 2)  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "motion_shapes: " in result.output
    assert "with characters that the Chinese vocabulary lacks" in result.output.replace("\n", "")
    assert "plain: lambda 1, the Chinese tower was not trained with this image tower" in result.output
    return out


def manifest_of(bundle: Path) -> Manifest:
    return open_bundle(bundle).manifest


def test_bundle_is_plain_clip_with_its_chinese_tower_off(bundle: Path) -> None:
    manifest = manifest_of(bundle)
    assert (manifest.method, manifest.scoring.aggregation, manifest.scoring.fusion) == ("vanilla", "mean", OFF)
    assert manifest.chinese is not None
    assert (manifest.chinese.trained, manifest.has_chinese) == (False, False)
    assert (manifest.sampling.num_frames, manifest.label_sets) == (2, ("motion_shapes",))


def test_manifest_records_licences_and_digests(bundle: Path, towers: PublicBackbone) -> None:
    provenance = manifest_of(bundle).provenance
    assert (provenance.recipe, provenance.training_data, provenance.metrics) == ("public_weights", {}, ())
    assert provenance.licences == {name: origin.licence for name, origin in towers.origins.items()}
    digests = {name: weights["sha256"] for name, weights in provenance.config["weights"].items()}
    assert digests == {name: origin.sha256 for name, origin in towers.origins.items()}


def test_label_sets_are_embedded_in_english(bundle: Path) -> None:
    stored = read_label_bank(bundle / "label_banks" / "motion_shapes.safetensors")
    assert stored.labels == select_label_sets(["motion_shapes"])["motion_shapes"]
    assert (stored.bank.english is None, stored.bank.chinese is None) == (False, True)


async def test_service_serves_the_bundle(bundle: Path) -> None:
    encoders = load_embedded_encoders(open_bundle(bundle), options=EngineOptions(precision="f32", num_threads=1))
    try:
        await encoders.check()
        assert encoders.chinese is None
    finally:
        encoders.close()


def test_backbone_folder_gives_the_bundle_of_its_files(
    tmp_path: Path, sources: tuple[Path, Path], towers: PublicBackbone
) -> None:
    arguments = ("--backbone", QUICK, "--pretrained", sources[0], "--chinese", sources[1])
    result = call("backbone", *arguments, "--out", tmp_path / "towers")
    assert result.exit_code == 0, result.output
    assert "chinese: cn, licence: MIT (Chinese-CLIP), where" in result.output
    stored = build_vanilla(read_stored_backbone(tmp_path / "towers"), num_frames=2)
    assert digest_towers(stored) == digest_towers(build_vanilla(towers, num_frames=2))


def evidence(model: VideoCLIP, *, zh_to_en_top1: float = 0.5) -> AlignmentReport:
    return report(digest_towers(model), replace(GOOD, zh_to_en_top1=zh_to_en_top1))


def test_evidence_switches_chinese_on(towers: PublicBackbone, model: VideoCLIP) -> None:
    assert choose_public_fusion(towers, model, evidence=evidence(model)) == Lambda(
        value=0.5,
        chosen="not tuned; switched on by alignment on 40 labels of words: top-1 50.0% from Chinese to English, 60.0% "
        "back",
    )


def test_no_evidence_leaves_chinese_off(towers: PublicBackbone, model: VideoCLIP) -> None:
    assert choose_public_fusion(towers, model, evidence=None) == OFF


def test_backbone_without_chinese_speaks_english(sources: tuple[Path, Path]) -> None:
    towers = read_public_backbone(QUICK, pretrained=str(sources[0]), chinese=None)
    fusion = choose_public_fusion(towers, build_vanilla(towers, num_frames=2), evidence=None)
    assert fusion == Lambda(value=1.0, chosen="no Chinese branch")


def test_random_towers_have_both_languages_on_for_sizing() -> None:
    towers = draw_random_backbone(QUICK)
    fusion = choose_public_fusion(towers, build_vanilla(towers, num_frames=2), evidence=None)
    assert fusion == Lambda(value=0.5, chosen="random weights in both languages, for sizing alone")


def test_weak_evidence_makes_no_bundle(tmp_path: Path, sources: tuple[Path, Path], model: VideoCLIP) -> None:
    write_alignment(tmp_path / "report.json", evidence(model, zh_to_en_top1=0.01))
    result = call("bundle", "--backbone", QUICK, "--pretrained", sources[0], "--chinese", sources[1], "--out",
                  tmp_path / "out", "--chinese-evidence", tmp_path / "report.json")  # fmt: skip
    assert result.exit_code == 1
    assert "the Chinese branch stays off: top-1 from Chinese to English is 1.0%, not 50%" in result.output
    assert not (tmp_path / "out").exists()


def test_evidence_switches_chinese_on_in_the_bundle_of_a_folder(tmp_path: Path, backbone_dir: Path) -> None:
    plain = build_vanilla(read_stored_backbone(backbone_dir), num_frames=2)
    write_alignment(tmp_path / "report.json", evidence(plain))
    result = call("bundle", "--backbone", backbone_dir, "--out", tmp_path / "on", "--label-set", "motion_shapes",
                  "--frames", 2, "--chinese-evidence", tmp_path / "report.json")  # fmt: skip
    assert result.exit_code == 0, result.output
    manifest = manifest_of(tmp_path / "on")
    assert (manifest.has_chinese, manifest.scoring.fusion.value, manifest.provenance.licences) == (True, 0.5, {})
    assert manifest.provenance.config["chinese_evidence"]["towers"] == digest_towers(plain)
    assert read_label_bank(tmp_path / "on" / "label_banks" / "motion_shapes.safetensors").bank.chinese is not None


def test_align_writes_its_report_and_verdict(tmp_path: Path, backbone_dir: Path) -> None:
    out = tmp_path / "report.json"
    result = call("align", backbone_dir, "--labels", "motion_shapes", "--out", out)
    assert result.exit_code == 0, result.output
    assert "Chinese finds English" in result.output
    assert "verdict: top-1 from Chinese to English is" in result.output.replace("\n", "")
    labels = select_label_sets(["motion_shapes"])["motion_shapes"]
    own = measure_alignment(
        build_vanilla(read_stored_backbone(backbone_dir), num_frames=8), labels, name="motion_shapes"
    )
    assert json.loads(out.read_text(encoding="utf-8"))["towers"] == own.towers


def test_align_reads_a_label_file_and_videos(tmp_path: Path, backbone_dir: Path, data: VideoData) -> None:
    labels = tmp_path / "own.csv"
    labels.write_text("id,en,zh\n0,waving,挥手\n1,moving left,向左移动\n", encoding="utf-8")
    result = call("align", backbone_dir, "--labels", labels, "--out", tmp_path / "report.json",
                  "--data", data.directory, "--split", "test", "--frames", 4, "--workers", 1)  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "3 videos, Chinese" in result.output
    assert json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["labels"] == "own.csv"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--backbone", QUICK), "no weights are named; give --pretrained openai, another tag or a file, or --random"),
        (("--backbone", QUICK, "--random-init", "--pretrained", "openai"), "--pretrained names weights, but --random-"),
        (("--backbone", QUICK, "--random-init", "--chinese", "x"), "--chinese names weights, but --random-init draws"),
        (("--backbone", ".", "--pretrained", "a", "--chinese", "b"), "--pretrained and --chinese names weights, but ."),
        (("--backbone", "ViT-Z"), "no weights are named"),
        (("--backbone", "ViT-Z", "--random-init"), "architecture is 'ViT-Z', but only open_clip's ViT CLIPs"),
        (("--backbone", QUICK, "--random-init", "--label-set", "k1"), "label sets k1 are not built in; known are "),
    ],
)
def test_options_that_contradict_each_other_are_refused(tmp_path: Path, arguments: Sequence[str], message: str) -> None:
    result = call("bundle", *arguments, "--out", tmp_path / "out")
    assert (result.exit_code, message in result.output) == (1, True), result.output


def test_align_names_labels_that_are_not_there(tmp_path: Path, backbone_dir: Path) -> None:
    result = call("align", backbone_dir, "--labels", "gone.csv", "--out", tmp_path / "report.json")
    assert result.exit_code == 1
    assert "labels is 'gone.csv', which is not a file; give a label CSV or a built-in label set" in result.output


def test_labels_that_a_tower_reads_in_part_are_named(model: VideoCLIP) -> None:
    labels = [Label("waving", "冲浪"), Label("word " * 80, "冲" * 60), Label(None, "挥手"), Label("a", None)]
    long = [label.text("en") for label in labels][1]
    assert list(list_unread(model, labels)) == [
        f"{long}: cut to the length of the English tower",
        f"{'冲' * 60}: cut to the length of the Chinese tower",
        "挥手: with characters that the Chinese vocabulary lacks",
    ]
    many = [Label(None, f"挥{number}") for number in "一二三四五六七"]
    assert list(list_unread(model, many)) == [
        "挥一, 挥二, 挥三, 挥四, 挥五 and 2 more: with characters that the Chinese vocabulary lacks"
    ]


def test_model_without_tokenizers_reads_nothing() -> None:
    with pytest.raises(ValueError, match="the model has no tokenizers; build it with tokenizers"):
        list(list_unread(tiny_model(), [Label("waving")]))


def test_all_label_sets_are_taken_where_none_is_named() -> None:
    sets = select_label_sets(())
    assert "motion_shapes" in sets
    assert all(isinstance(label, Label) for labels in sets.values() for label in labels)


def test_unknown_label_set_lists_the_known_ones() -> None:
    with pytest.raises(SettingError, match=r"label sets a, b are not built in; known are .*motion_shapes"):
        select_label_sets(["a", "motion_shapes", "b"])
