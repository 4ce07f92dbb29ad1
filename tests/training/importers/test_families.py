"""The way from a file to a run for all families: settings, wrong families, folders, and the command."""

import hashlib
from pathlib import Path

import pytest
import torch
from torch import Tensor
from typer.testing import CliRunner

from service.contract.manifest import open_bundle
from tests.training.importers.released import write_safetensors, write_zip
from tests.training.importers.sides import draw_side
from tests.training.importers.towers import CONFIG, LABELS, draw_clip, write_labels, write_towers
from tests.training.importers.vifi import fine_tuned_state, tokenize
from tests.training.tiny import CLIP
from training.commands.menu import app
from training.data.annotations import VideoData
from training.errors import ImportProblem, RunError, SettingError
from training.importers.families import FAMILIES, import_checkpoint
from training.importers.origin import Origin, read_origins, render_origins
from training.runs.backbone import read_backbone

CLIP_TENSORS = draw_clip(0)


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_towers(tmp_path_factory.mktemp("families") / "backbone", CLIP_TENSORS)


def vifi_state() -> dict[str, Tensor]:
    ids = tokenize([f"a photo of a {name}." for name in LABELS], config=CONFIG)
    return fine_tuned_state(CLIP_TENSORS, ids=ids, vocabulary=CLIP_TENSORS["token_embedding.weight"])


@pytest.mark.parametrize("family", FAMILIES)
def test_clip_itself_is_no_checkpoint_of_a_family(tmp_path: Path, backbone: Path, family: str) -> None:
    path = write_safetensors(tmp_path / "clip.safetensors", CLIP_TENSORS)
    with pytest.raises(
        ImportProblem, match=rf"clip\.safetensors looks like a checkpoint of clip, not of {family}; import"
    ):
        import_checkpoint(family, path, backbone_dir=backbone, out=tmp_path / "run")


@pytest.mark.parametrize(
    ("family", "message"),
    [
        (
            "bike",
            r"family is 'bike', but the layout of its checkpoints is not known .*; known are vificlip, vl_prompting, ",
        ),
        ("x-clip", r"^family is 'x-clip'; known are vificlip, vl_prompting, vita, tds, side4video$"),
        ("vita", r"--preset ssv is for tds and side4video; vita has one way to cut pictures"),
    ],
)
def test_impossible_settings_are_named(tmp_path: Path, backbone: Path, family: str, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        import_checkpoint(family, tmp_path / "none", backbone_dir=backbone, out=tmp_path / "run", preset="ssv")


def test_folder_that_exists_is_left_alone(tmp_path: Path, backbone: Path) -> None:
    path = write_zip(tmp_path / "file.pth", vifi_state())
    with pytest.raises(RunError, match=r" exists; choose another folder or remove it"):
        import_checkpoint("vificlip", path, backbone_dir=backbone, out=tmp_path)


def test_leftovers_of_a_stopped_import_vanish(tmp_path: Path, backbone: Path) -> None:
    (tmp_path / ".run.partial" / "backbone").mkdir(parents=True)
    path = write_zip(tmp_path / "file.pth", vifi_state())
    import_checkpoint("vificlip", path, backbone_dir=backbone, out=tmp_path / "run", num_frames=2)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["file.pth", "run"]


def test_origins_of_the_backbone_are_kept(tmp_path: Path) -> None:
    backbone = write_towers(tmp_path / "backbone", CLIP_TENSORS)
    clip = Origin(family="openai", source="ViT.pt", sha256="0" * 64, licence="MIT")
    (backbone / "origin.json").write_text(render_origins({"clip": clip}), encoding="utf-8")
    path = write_zip(tmp_path / "file.pth", vifi_state())
    import_checkpoint("vificlip", path, backbone_dir=backbone, out=tmp_path / "run", num_frames=2)
    origins = read_origins(tmp_path / "run" / "backbone")
    assert origins["clip"] == clip
    assert origins["checkpoint"].sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_chinese_tower_that_was_not_trained_along_is_left_behind(tmp_path: Path, backbone_dir: Path) -> None:
    clip = read_backbone(backbone_dir).clip
    ids = tokenize(["a photo of a cat."], config=CLIP)
    state = fine_tuned_state(dict(clip), ids=ids, vocabulary=clip["token_embedding.weight"])
    path = write_zip(tmp_path / "file.pth", state)
    import_checkpoint("vificlip", path, backbone_dir=backbone_dir, out=tmp_path / "run", num_frames=2)
    names = sorted(each.name for each in (tmp_path / "run" / "backbone").iterdir())
    assert names == ["backbone.json", "clip.safetensors", "origin.json", "tokenizer_en.json"]


def test_command_imports_a_checkpoint(tmp_path: Path, backbone: Path) -> None:
    torch.manual_seed(0)
    state = draw_side(CLIP_TENSORS, config=CONFIG, width=16, num_classes=2, is_tds=True)
    path = write_zip(tmp_path / "best.pt", {"model_state_dict": state})
    labels = write_labels(tmp_path / "classes.csv", "pushing", "lifting")
    options = ["--backbone", backbone, "--out", tmp_path / "run", "--frames", 8, "--labels", labels, "--preset", "k400"]
    answer = CliRunner().invoke(app, ["import", "tds", str(path), *map(str, options)])
    assert answer.exit_code == 0, answer.output
    assert f"{tmp_path / 'run'}: tds, 8 frames, 2 classes; licence: none stated by the authors" in answer.output


@pytest.mark.slow
def test_imported_run_is_evaluated_and_exported(tmp_path: Path, backbone: Path, data: VideoData) -> None:
    path = write_zip(tmp_path / "file.pth", vifi_state())
    import_checkpoint("vificlip", path, backbone_dir=backbone, out=tmp_path / "run", num_frames=2)
    commands = (
        ["evaluate", tmp_path / "run", "--protocol", "zero_shot", "--data", data.directory, "--workers", 1],
        ["export", tmp_path / "run", "--out", tmp_path / "bundle"],
    )
    for command in commands:
        answer = CliRunner().invoke(app, [str(each) for each in command])
        assert answer.exit_code == 0, answer.output
    provenance = open_bundle(tmp_path / "bundle").manifest.provenance
    assert provenance.training_data["origin"]["source"] == "file.pth"
    assert [metric.name for metric in provenance.metrics][:1] == ["top1 (English)"]


def test_command_says_what_is_wrong(tmp_path: Path, backbone: Path) -> None:
    (tmp_path / "file.pth").write_bytes(b"")
    options = ["--backbone", str(backbone), "--out", str(tmp_path / "run")]
    answer = CliRunner().invoke(app, ["import", "vita", str(tmp_path / "file.pth"), *options])
    assert answer.exit_code == 1
    assert "file.pth is empty; download it again" in answer.stderr
