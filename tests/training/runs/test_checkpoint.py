"""Backbones and runs on disk: what is written is read back, and everything that does not fit is named."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from service.contract.errors import BundleError
from tests.training.tiny import CLIP, MODEL, RECIPE, random_clips, tiny_model, write_tiny_backbone
from training.config.adapters import TemporalEmbeddingConfig
from training.config.model import BackboneConfig, Recipe
from training.errors import RunError
from training.models.clip import build_clip
from training.runs.backbone import copy_backbone, read_backbone
from training.runs.checkpoint import latest_checkpoint, read_checkpoint, write_checkpoint
from training.runs.configs import read_config, render_config
from training.runs.run import load_model
from training.runs.tensors import adapter_state, load_strictly


def write_run(run_dir: Path, backbone_dir: Path, *, recipe: Recipe = RECIPE, step: int = 3) -> Path:
    copy_backbone(backbone_dir, run_dir)
    model = read_backbone(backbone_dir).build(recipe.model)
    (run_dir / "config.json").write_text(render_config(recipe), encoding="utf-8")
    write_checkpoint(run_dir, adapters=adapter_state(model), step=step, state={"optimizer": {"lr": 0.1}})
    return run_dir


def change(path: Path, edit: Callable[[dict[str, torch.Tensor]], object]) -> None:
    tensors = load_file(path)
    edit(tensors)
    save_file(tensors, path)


def test_backbone_builds_a_model_with_its_towers(backbone_dir: Path) -> None:
    model = read_backbone(backbone_dir).build(MODEL).eval()
    torch.manual_seed(0)
    clip = build_clip(CLIP).state_dict()
    state = model.state_dict()
    for name, tensor in clip.items():
        if name != "logit_scale":
            prefix = "video." if name.startswith("visual.") else "english."
            assert torch.equal(state[prefix + name], tensor)
    assert model.tokenizers is not None
    assert model.encode_text_zh(["挥手"]).shape == (1, 16)


def test_backbone_gives_its_sizes_to_the_model(backbone_dir: Path) -> None:
    config = replace(MODEL, clip="ViT-B-16-quickgelu")
    assert read_backbone(backbone_dir).configure(config) == MODEL


def test_backbone_without_chinese_has_no_chinese_files(tmp_path: Path) -> None:
    folder = write_tiny_backbone(tmp_path / "backbone", chinese=False)
    assert sorted(path.name for path in folder.iterdir()) == ["backbone.json", "clip.safetensors", "tokenizer_en.json"]
    assert read_backbone(folder).build(MODEL).chinese is None


def test_existing_backbone_is_not_overwritten(backbone_dir: Path) -> None:
    with pytest.raises(RunError, match="backbone exists; choose another folder or remove it"):
        write_tiny_backbone(backbone_dir)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda tensors: tensors.pop("visual.proj"), "image tower does not fit the model. missing: proj"),
        (
            lambda tensors: tensors.update(extra=torch.zeros(1)),
            "English tower does not fit the model. unexpected: extra",
        ),
        (
            lambda tensors: tensors.update({"visual.proj": torch.zeros(2, 3)}),
            r"image tower does not fit the model. of another shape: proj is \(2, 3\), not \(16, 16\)",
        ),
    ],
)
def test_towers_that_do_not_fit_are_named(
    backbone_dir: Path, tmp_path: Path, edit: Callable[[dict[str, torch.Tensor]], object], message: str
) -> None:
    folder = Path(shutil.copytree(backbone_dir, tmp_path / "backbone"))
    change(folder / "clip.safetensors", edit)
    with pytest.raises(RunError, match=message):
        read_backbone(folder).build(MODEL)


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("clip.safetensors", RunError, r"clip.safetensors cannot be read"),
        ("tokenizer_en.json", BundleError, r"tokenizer_en.json is not a tokenizer file"),
        ("backbone.json", RunError, r"backbone.json cannot be read"),
    ],
)
def test_broken_backbone_file_is_named(
    backbone_dir: Path, tmp_path: Path, name: str, error: type[Exception], message: str
) -> None:
    folder = Path(shutil.copytree(backbone_dir, tmp_path / "backbone"))
    (folder / name).write_bytes(b"nonsense")
    with pytest.raises(error, match=message):
        read_backbone(folder)


def test_run_is_loaded_as_it_was_written(backbone_dir: Path, tmp_path: Path) -> None:
    run_dir = write_run(tmp_path / "run", backbone_dir)
    torch.manual_seed(7)
    first, second = load_model(run_dir), load_model(run_dir)
    assert torch.equal(first.encode_video(random_clips(1)), second.encode_video(random_clips(1)))
    assert not first.training


def test_only_what_trains_is_in_a_checkpoint(backbone_dir: Path, tmp_path: Path) -> None:
    run_dir = write_run(tmp_path / "run", backbone_dir)
    names = set(load_file(latest_checkpoint(run_dir) / "adapters.safetensors"))
    assert names == set(adapter_state(tiny_model()))
    assert "video.prompts.0.reparameterization.block.0.1.running_mean" in names
    assert all(name.startswith(("video.prompts.", "video.temporal_embedding")) for name in names)


def test_tuned_image_tower_is_in_a_checkpoint(backbone_dir: Path, tmp_path: Path) -> None:
    recipe = replace(RECIPE, model=replace(MODEL, adapters=TemporalEmbeddingConfig(tune_image_tower=True)))
    run_dir = write_run(tmp_path / "run", backbone_dir, recipe=recipe)
    path = latest_checkpoint(run_dir) / "adapters.safetensors"
    tower = {f"video.visual.{name}" for name in load_model(run_dir).video.visual.state_dict()}
    assert set(load_file(path)) == {"video.temporal_embedding", *tower}
    change(path, lambda tensors: tensors.update({"video.visual.proj": torch.full((16, 16), 2.0)}))
    assert torch.equal(load_model(run_dir).video.visual.proj, torch.full((16, 16), 2.0))
    change(path, lambda tensors: tensors.pop("video.visual.proj"))
    with pytest.raises(RunError, match=r"adapters.safetensors does not fit the model. missing: video.visual.proj"):
        load_model(run_dir)


def test_supervision_by_english_takes_no_chinese_from_the_backbone(backbone_dir: Path) -> None:
    model = read_backbone(backbone_dir).build(replace(MODEL, supervision="english"))
    assert model.chinese is None
    assert model.tokenizers is not None
    assert model.tokenizers.chinese is None
    assert model.tokenizers.english is not None


def test_only_the_latest_checkpoint_is_kept(backbone_dir: Path, tmp_path: Path) -> None:
    run_dir = write_run(tmp_path / "run", backbone_dir, step=3)
    model = load_model(run_dir)
    write_checkpoint(run_dir, adapters=adapter_state(model), step=12, state={})
    write_checkpoint(run_dir, adapters=adapter_state(model), step=12, state={"ignored": True})
    assert [path.name for path in (run_dir / "checkpoint").iterdir()] == ["00000012"]
    assert read_checkpoint(run_dir, model=model) == {"step": 12}


def test_interrupted_checkpoint_is_ignored(backbone_dir: Path, tmp_path: Path) -> None:
    run_dir = write_run(tmp_path / "run", backbone_dir)
    (run_dir / "checkpoint" / ".00000009.partial").mkdir()
    assert latest_checkpoint(run_dir).name == "00000003"


def test_adapters_that_do_not_fit_are_named(backbone_dir: Path, tmp_path: Path) -> None:
    run_dir = write_run(tmp_path / "run", backbone_dir)
    change(latest_checkpoint(run_dir) / "adapters.safetensors", lambda tensors: tensors.pop("video.temporal_embedding"))
    with pytest.raises(
        RunError, match=r"adapters.safetensors does not fit the model. missing: video.temporal_embedding"
    ):
        load_model(run_dir)


def test_every_kind_of_misfit_is_named_at_once() -> None:
    module = torch.nn.Linear(2, 3)
    tensors = {"weight": torch.zeros(3, 4), "scale": torch.zeros(1)}
    message = r"it does not fit the model. missing: bias; unexpected: scale; of another shape: weight is \(3, 4\), not"
    with pytest.raises(RunError, match=message):
        load_strictly(module, tensors, source="it")


def test_wrong_folders_are_named(backbone_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"is not a run folder: it has no config.json"):
        load_model(tmp_path)
    with pytest.raises(RunError, match=r"is not a backbone folder: it has no backbone.json"):
        read_backbone(tmp_path)
    with pytest.raises(RunError, match=r"is not a backbone folder"):
        copy_backbone(tmp_path, tmp_path / "run")
    with pytest.raises(RunError, match=r"holds no checkpoint; give the folder that `duoact-train fit --out` wrote"):
        latest_checkpoint(backbone_dir)


def test_config_survives_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(render_config(RECIPE), encoding="utf-8")
    assert read_config(path, kind=Recipe) == RECIPE


def test_recipe_of_an_earlier_version_has_todays_defaults(tmp_path: Path) -> None:
    values = json.loads(render_config(RECIPE))
    del values["num_shots"], values["model"]["supervision"], values["model"]["adapters"]["beta_layout"]
    (tmp_path / "config.json").write_text(json.dumps(values), encoding="utf-8")
    assert read_config(tmp_path / "config.json", kind=Recipe) == RECIPE


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": {**json.loads(render_config(MODEL)), "colour": "red"}}, "has keys that Recipe does not have"),
        ({"colour": "red"}, "has keys that Recipe does not have, or lacks some"),
        ({"train_split": 3}, r"cannot be read: .*train_split"),
    ],
)
def test_config_of_another_version_is_refused(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    path = tmp_path / "config.json"
    values = json.loads(render_config(RECIPE))
    path.write_text(json.dumps({**values, **changes}), encoding="utf-8")
    with pytest.raises(RunError, match=f"(?s){message}"):
        read_config(path, kind=Recipe)


def test_config_that_lacks_a_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "backbone.json"
    config = BackboneConfig(clip=CLIP, chinese=None, preprocessing=MODEL.preprocessing)
    values = json.loads(render_config(config))
    del values["max_length_zh"]
    path.write_text(json.dumps(values), encoding="utf-8")
    with pytest.raises(RunError, match="has keys that BackboneConfig does not have, or lacks some"):
        read_config(path, kind=BackboneConfig)


def test_another_backbone_in_the_run_is_refused(backbone_dir: Path, tmp_path: Path) -> None:
    copied = copy_backbone(backbone_dir, tmp_path / "run")
    assert copy_backbone(backbone_dir, tmp_path / "run") == copied
    change(copied / "clip.safetensors", lambda tensors: tensors.pop("positional_embedding"))
    with pytest.raises(RunError, match=r"backbone is another backbone than .*; remove it, or choose another folder"):
        copy_backbone(backbone_dir, tmp_path / "run")
