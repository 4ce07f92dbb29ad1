"""ViFi-CLIP's checkpoints: features of the run equal those of its own forward pass; every misfit is named."""

import hashlib
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from service.contract.labels import Label
from service.contract.manifest import Preprocessing
from tests.training.importers.released import as_yacs, write_legacy, write_zip
from tests.training.importers.towers import CONFIG, LABELS, draw_clip, write_towers
from tests.training.importers.vifi import Reference, fine_tuned_state, prompted_state, tokenize
from training.config.adapters import DeepPromptConfig, FineTuningConfig, Mode
from training.config.model import BackboneConfig
from training.errors import ImportProblem
from training.export.provenance import describe_provenance
from training.importers.families import import_checkpoint
from training.runs.configs import read_config
from training.runs.run import load_model, open_run

TEXTS = [f"a photo of a {name}." for name in LABELS]
IDS = tokenize(TEXTS, config=CONFIG)
OWN, TUNED = draw_clip(0), draw_clip(1)
TABLE = OWN["token_embedding.weight"]
Edit = Callable[[dict[str, Tensor]], object]


def clips(num_frames: int = 3) -> Tensor:
    return torch.randint(
        0, 256, (2, num_frames, 32, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(2)
    )


def mixed(mode: str) -> dict[str, Tensor]:
    """Towers of which only those of a mode were trained."""
    trained = {
        "full": ("",),
        "image": ("visual.",),
        "text": tuple({n.split(".")[0] for n in OWN} - {"visual", "logit_scale"}),
    }
    return {name: TUNED[name] if name.startswith(trained[mode]) else OWN[name] for name in OWN}


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_towers(tmp_path_factory.mktemp("vifi") / "backbone", OWN)


def as_file(state: dict[str, Tensor], **beside: Any) -> dict[str, Any]:  # noqa: ANN401
    """Wrap a state as training wrote it."""
    optimizer = {"state": {0: {"exp_avg": torch.ones(3)}}, "param_groups": [{"lr": 8e-6, "params": [0]}]}
    model = {f"module.{name}": tensor for name, tensor in state.items()}
    return {
        "model": model,
        "optimizer": optimizer,
        "lr_scheduler": {"t": 1},
        "max_accuracy": 76.4,
        "epoch": 9,
        **beside,
    }


def check_equal(run: Path, state: dict[str, Tensor], *, ids: Tensor) -> None:
    model, reference = load_model(run), Reference(state, config=CONFIG)
    frames = clips(model.config.num_frames)
    torch.testing.assert_close(model.encode_video(frames), reference.encode_video(frames), atol=1e-5, rtol=0)
    embedded = model.encode_text_en(LABELS).embedding
    torch.testing.assert_close(embedded, reference.encode_texts(ids), atol=1e-5, rtol=0)
    assert model.config.scoring.tau == pytest.approx(math.exp(-state["logit_scale"].item()))


@pytest.mark.parametrize(("use", "mode"), [("both", "full"), ("image", "image"), ("text", "text")])
@pytest.mark.parametrize("write", [write_zip, write_legacy])
def test_fine_tuned_checkpoint_equals_its_own_forward_pass(
    tmp_path: Path, backbone: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[..., Path], use: str, mode: Mode
) -> None:
    state = fine_tuned_state(mixed(mode), ids=IDS, vocabulary=TABLE)
    config = as_yacs({"DATA": {"NUM_FRAMES": 3}, "TRAINER": {"ViFi_CLIP": {"USE": use}}}, monkeypatch)
    path = write(tmp_path / "k400.pth", as_file(state, config=config))
    found = import_checkpoint("vificlip", path, backbone_dir=backbone, out=tmp_path / "run")
    check_equal(tmp_path / "run", state, ids=IDS)
    assert found.model.adapters == FineTuningConfig(mode=mode)
    assert (found.model.num_frames, found.model.template_en) == (3, "a photo of a {}.")


@pytest.mark.parametrize(("trained", "mode"), [("full", "full"), ("image", "image"), ("text", "text")])
def test_mode_without_a_config_is_read_off_the_towers(tmp_path: Path, backbone: Path, trained: str, mode: Mode) -> None:
    state = {name: each.half() for name, each in fine_tuned_state(mixed(trained), ids=IDS, vocabulary=TABLE).items()}
    path = write_zip(tmp_path / "half.pth", {"model": state})
    found = import_checkpoint("vificlip", path, backbone_dir=backbone, out=tmp_path / "run", num_frames=2)
    assert (found.model.adapters, found.model.num_frames) == (FineTuningConfig(mode=mode), 2)
    check_equal(tmp_path / "run", {name: each.float() for name, each in state.items()}, ids=IDS)


@pytest.mark.parametrize(("depth", "num_vision", "num_text"), [(1, 2, 1), (2, 1, 3), (3, 4, 4)])
def test_prompted_checkpoint_equals_its_own_forward_pass(
    tmp_path: Path, backbone: Path, depth: int, num_vision: int, num_text: int
) -> None:
    ids = tokenize([" ".join(["x"] * num_text + [name]) + "." for name in LABELS], config=CONFIG)
    state = prompted_state(TUNED, ids=ids, vocabulary=TABLE, depth=depth, num_vision=num_vision, num_text=num_text)
    path = write_zip(tmp_path / "prompts.pth", as_file(state))
    found = import_checkpoint("vl_prompting", path, backbone_dir=backbone, out=tmp_path / "run", num_frames=3)
    check_equal(tmp_path / "run", state, ids=ids)
    assert (found.model.template_en, found.model.num_frames) == ("{}.", 3)
    assert found.model.adapters == DeepPromptConfig(num_vision_tokens=num_vision, num_text_tokens=num_text, depth=depth)
    assert read_config(tmp_path / "run" / "backbone" / "backbone.json", kind=BackboneConfig).bridged


def test_run_says_where_it_comes_from(tmp_path: Path, backbone: Path) -> None:
    path = write_zip(tmp_path / "k400 full.pth", as_file(fine_tuned_state(TUNED, ids=IDS, vocabulary=TABLE)))
    import_checkpoint("vificlip", path, backbone_dir=backbone, out=tmp_path / "run", num_frames=2)
    origin = {
        "family": "vificlip",
        "source": "k400 full.pth",
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "licence": "none stated by the authors; ask them before passing the weights on",
        "remarks": (),
    }
    provenance = describe_provenance(open_run(tmp_path / "run"))
    assert provenance.recipe == "imported_vificlip"
    assert provenance.licences == {"checkpoint": origin["licence"]}
    labels = (tmp_path / "run" / "labels.csv").read_bytes()
    assert provenance.training_data == {
        "name": "k400_full",
        "digest": hashlib.sha256(labels).hexdigest(),
        "num_labels": 3,
        "num_videos": {},
        "origin": {**origin, "remarks": []},
    }
    assert labels.decode() == "id,en,zh\n0,apply eye makeup,\n1,waving (hand),\n2,tai-chi,\n"
    assert sorted(each.name for each in (tmp_path / "run").iterdir()) == [
        "backbone", "checkpoint", "config.json", "data.json", "environment.json", "labels.csv", "metrics.jsonl"
    ]  # fmt: skip


def test_pictures_are_normalised_as_the_authors_did(tmp_path: Path, backbone: Path) -> None:
    path = write_zip(tmp_path / "file.pth", as_file(fine_tuned_state(TUNED, ids=IDS, vocabulary=TABLE)))
    import_checkpoint("vificlip", path, backbone_dir=backbone, out=tmp_path / "run", num_frames=2)
    assert load_model(tmp_path / "run").config.preprocessing == Preprocessing(
        input_size=32,
        resize_rule="short_side",
        resize_size=37,
        interpolation="bilinear",
        crop_rule="centre",
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
    )


def rename(state: dict[str, Tensor]) -> None:
    state["image_encoder.positional"] = state.pop("image_encoder.positional_embedding")
    state["text_encoder.text_projection"] = torch.zeros(16, 4)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (
            rename,
            r"file\.pth does not hold the tensors of its family\. missing: visual\.positional_embedding; unexpected: "
            r"visual\.positional; of another shape: text_projection is \(16, 4\), not \(16, 16\)$",
        ),
        (
            lambda state: state.pop("prompt_learner.complete_text_embeddings"),
            r"missing: prompt_learner\.complete_text_embeddings$",
        ),
        (
            lambda state: state.update({"prompt_learner.complete_text_embeddings": torch.zeros(3, 31, 16)}),
            r"of another shape: prompt_learner\.complete_text_embeddings is \(3, 31, 16\), not \(3, 32, 16\)$",
        ),
        (
            lambda state: state["prompt_learner.complete_text_embeddings"].add_(1),
            r"file\.pth keeps words of its classes that the backbone's vocabulary does not have; give the backbone",
        ),
        (lambda state: state.pop("image_encoder.class_embedding"), r"is no checkpoint of vificlip, nor of another"),
    ],
)
def test_misfits_of_a_fine_tuned_checkpoint_are_named(tmp_path: Path, backbone: Path, edit: Edit, message: str) -> None:
    state = fine_tuned_state(TUNED, ids=IDS, vocabulary=TABLE)
    edit(state)
    path = write_zip(tmp_path / "file.pth", as_file(state))
    with pytest.raises(ImportProblem, match=message):
        import_checkpoint("vificlip", path, backbone_dir=backbone, out=tmp_path / "run", num_frames=2)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (
            lambda state: state.pop("text_encoder.transformer.resblocks.2.VPT_shallow"),
            r"has prompts in 3 layers of its image tower and in 2 of its text tower; models here have as many in both",
        ),
        (
            lambda state: state.update({"image_encoder.transformer.resblocks.1.VPT_shallow": torch.zeros(5, 16)}),
            r"has image_encoder\.VPT of shape \(2, 16\), but prompts of \[\(5, 16\)\]",
        ),
        (
            lambda state: [state.pop(name) for name in list(state) if name.endswith("1.VPT_shallow")],
            r"unexpected: transformer\.resblocks\.2\.VPT_shallow, visual\.transformer\.resblocks\.2\.VPT_shallow$",
        ),
        (lambda state: state.pop("prompt_learner.token_suffix"), r"missing: prompt_learner\.token_suffix$"),
    ],
)
def test_misfits_of_prompts_are_named(tmp_path: Path, backbone: Path, edit: Edit, message: str) -> None:
    ids = tokenize(["x x waving."], config=CONFIG)
    state = prompted_state(TUNED, ids=ids, vocabulary=TABLE, depth=3, num_vision=2, num_text=2)
    edit(state)
    path = write_zip(tmp_path / "file.pth", {"model": state})
    with pytest.raises(ImportProblem, match=message):
        import_checkpoint("vl_prompting", path, backbone_dir=backbone, out=tmp_path / "run", num_frames=2)


def test_tower_that_the_file_calls_frozen_must_be_the_backbones(tmp_path: Path, backbone: Path) -> None:
    state = fine_tuned_state(TUNED, ids=IDS, vocabulary=TABLE)
    path = write_zip(tmp_path / "file.pth", {"model": state, "config": {"USE": "image"}})
    message = (
        r"file\.pth was trained with all but what USE 'image' trains frozen, but these tensors are not the backbone's: "
        r"positional_embedding, text_projection, transformer\.resblocks\.0\.\S+ and \d+ more; give the backbone that it"
    )
    with pytest.raises(ImportProblem, match=message):
        import_checkpoint("vificlip", path, backbone_dir=backbone, out=tmp_path / "run", num_frames=2)


def test_frames_that_nobody_states_are_asked_for(tmp_path: Path, backbone: Path) -> None:
    path = write_zip(tmp_path / "file.pth", as_file(fine_tuned_state(TUNED, ids=IDS, vocabulary=TABLE)))
    with pytest.raises(ImportProblem, match=r"file\.pth does not say how many frames its clips have; give --frames"):
        import_checkpoint("vificlip", path, backbone_dir=backbone, out=tmp_path / "run")


def test_classes_without_certain_names_are_asked_for(tmp_path: Path, backbone: Path) -> None:
    state = fine_tuned_state(TUNED, ids=IDS[[0, 0]], vocabulary=TABLE)
    path = write_zip(tmp_path / "file.pth", as_file(state))
    with pytest.raises(
        ImportProblem, match=r"file\.pth does not name its 2 classes; give --labels with a table id,en,zh"
    ):
        import_checkpoint("vificlip", path, backbone_dir=backbone, out=tmp_path / "run", num_frames=2)


def test_labels_that_are_given_must_be_as_many_as_classes(tmp_path: Path, backbone: Path) -> None:
    path = write_zip(tmp_path / "file.pth", as_file(fine_tuned_state(TUNED, ids=IDS, vocabulary=TABLE)))
    given = partial(import_checkpoint, "vificlip", path, backbone_dir=backbone, num_frames=2)
    with pytest.raises(ImportProblem, match=r"file\.pth was trained on 3 classes, but 2 labels were given; give the"):
        given(out=tmp_path / "run", labels=[Label("a"), Label("b")])
    labels = (Label("a", "甲"), Label("b", "乙"), Label("c", "丙"))
    assert given(out=tmp_path / "run", labels=labels).labels == labels
