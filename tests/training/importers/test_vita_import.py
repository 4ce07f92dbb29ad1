"""Vita-CLIP's checkpoints: frame features equal those of its image branch, written out; every misfit is named."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from typer.testing import CliRunner

from service.contract.manifest import Preprocessing
from tests.training.importers.released import write_legacy, write_zip
from tests.training.importers.towers import LABELS, draw_clip, write_towers
from tests.training.importers.vifi import tokenize
from tests.training.models.test_vita import CONFIG, FRAMES, LAYERS, SHARED, as_ours, vita_features, vita_weights
from tests.training.tiny import CLIP, random_clips
from training.commands.menu import app
from training.config.adapters import TemporalPromptConfig
from training.config.model import CLIP_MEAN, CLIP_STD
from training.errors import ImportProblem
from training.importers.families import import_checkpoint
from training.runs.run import load_model

SIZES = replace(CLIP, vision_layers=LAYERS)
NUM_CONTEXT = 3
WEIGHTS = vita_weights()
TEXTS = {
    name: each
    for name, each in draw_clip(0, config=SIZES).items()
    if name != "logit_scale" and not name.startswith("visual.")
}
TOWERS = {
    **{name: each for name, each in as_ours(WEIGHTS).items() if name.startswith("visual.")},
    **TEXTS,
    # As of CLIP, without what the patch embedding adds.
    "visual.positional_embedding": WEIGHTS["pos_embed"],
}
Edit = Callable[[dict[str, Tensor]], object]


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_towers(tmp_path_factory.mktemp("vita") / "backbone", TOWERS, config=SIZES)


def vita_state(*, context: tuple[int, ...] = (len(LABELS), NUM_CONTEXT, 16)) -> dict[str, Tensor]:
    ids = tokenize([f"{'x ' * NUM_CONTEXT}{name}." for name in LABELS], config=SIZES)
    words = TEXTS["token_embedding.weight"][ids]
    return {
        "prompt_learner.ctx": torch.randn(context),
        "prompt_learner.token_prefix": words[:, :1].clone(),
        "prompt_learner.token_suffix": words[:, 1 + NUM_CONTEXT :].clone(),
        **{f"visual.{name}": each.clone() for name, each in WEIGHTS.items()},
        **{f"textual.{name}": each.clone() for name, each in TEXTS.items()},
    }


def as_file(state: dict[str, Tensor]) -> dict[str, Any]:
    """Wrap a state as training wrote it."""
    model = {f"module.{name}": tensor for name, tensor in state.items()}
    return {
        "model": model,
        "optimizer": {"state": {}},
        "lr_sched": {"last_epoch": 3},
        "loss_scaler": {},
        "next_step": 9,
    }


@torch.no_grad()
@pytest.mark.parametrize("write", [write_zip, write_legacy])
def test_checkpoint_equals_its_image_branch(tmp_path: Path, backbone: Path, write: Callable[..., Path]) -> None:
    path = write(tmp_path / "vita.pth", as_file(vita_state()))
    import_checkpoint("vita", path, backbone_dir=backbone, out=tmp_path / "run")
    model, clips = load_model(tmp_path / "run"), random_clips(2, config=CONFIG)
    pixels = (clips / 255 - torch.tensor(CLIP_MEAN)) / torch.tensor(CLIP_STD)
    expected = torch.stack([vita_features(WEIGHTS, clip) for clip in pixels.permute(0, 1, 4, 2, 3)])
    expected = expected / expected.norm(dim=-1, keepdim=True)
    torch.testing.assert_close(model.encode_video(clips), expected, atol=1e-5, rtol=0)


def test_texts_are_those_of_the_frozen_tower(tmp_path: Path, backbone: Path) -> None:
    path = write_zip(tmp_path / "vita.pth", as_file(vita_state()))
    import_checkpoint("vita", path, backbone_dir=backbone, out=tmp_path / "run")
    model = load_model(tmp_path / "run")
    state = model.english.state_dict()
    assert all(torch.equal(state[name], tensor) for name, tensor in TEXTS.items())
    assert model.chinese is None


@pytest.mark.parametrize(
    ("context", "kind"),
    [((3, NUM_CONTEXT, 16), "a context for each class"), ((NUM_CONTEXT, 16), "one context for all")],
)
def test_model_and_what_is_left_behind(tmp_path: Path, backbone: Path, context: tuple[int, ...], kind: str) -> None:
    path = write_zip(tmp_path / "vita.pth", as_file(vita_state(context=context) | {"logit_scale": torch.tensor(3.0)}))
    found = import_checkpoint("vita", path, backbone_dir=backbone, out=tmp_path / "run", num_frames=FRAMES)
    model = load_model(tmp_path / "run").config
    assert (model.method, model.num_frames, model.scoring.aggregation) == ("dual_semantic", FRAMES, "mean")
    assert model.adapters == TemporalPromptConfig(num_global_prompts=SHARED, beta="none")
    assert model.scoring.tau == pytest.approx(math.exp(-3))
    assert model.preprocessing == Preprocessing(
        input_size=32, resize_rule="short_side", resize_size=32, interpolation="bilinear", crop_rule="centre",
        mean=CLIP_MEAN, std=CLIP_STD,
    )  # fmt: skip
    assert [label.en for label in found.labels] == list(LABELS)
    assert found.licence == "MIT (Vita-CLIP)"
    assert f"the text branch learned {kind}" in found.remarks[0]
    assert "which is left behind" in found.remarks[0]


def misname(state: dict[str, Tensor]) -> None:
    state["visual.blocks.0.attn.query.weight"] = state.pop("visual.blocks.0.attn.q_proj.weight")
    state["visual.global_prompts"] = state["visual.global_prompts"][:2]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (
            misname,
            r"vita\.pth does not hold the tensors of its family\. missing: visual\.transformer\.resblocks\.0\.attn"
            r"\.in_proj_weight; unexpected: visual\.blocks\.0\.attn\.k_proj\.weight, visual\.blocks\.0\.attn\.query"
            r"\.weight, visual\.blocks\.0\.attn\.v_proj\.weight; of another shape: visual\.global_prompts is "
            r"\(2, 2, 16\), not \(3, 2, 16\)$",
        ),
        (lambda state: state.pop("visual.time_embed"), r"missing: video\.temporal_embedding$"),
        (lambda state: state.pop("visual.global_prompts"), r"missing: visual\.global_prompts$"),
        (lambda state: state.pop("prompt_learner.ctx"), r"missing: prompt_learner\.ctx$"),
        (lambda state: state.pop("textual.ln_final.bias"), r"missing: ln_final\.bias$"),
        (
            lambda state: state["visual.blocks.1.mlp.fc1.bias"].add_(1),
            r"vita\.pth was trained with its towers frozen, but these tensors are not the backbone's: visual\."
            r"transformer\.resblocks\.1\.mlp\.c_fc\.bias; give the backbone that it was trained from",
        ),
        (
            lambda state: state.update({"visual.blocks.1.attn.q_proj.weight": torch.zeros(16, 3)}),
            r"vita\.pth has sizes that make no model: ",
        ),
        (lambda state: state["textual.text_projection"].add_(1), r"are not the backbone's: text_projection; give"),
    ],
)
def test_misfits_are_named(tmp_path: Path, backbone: Path, edit: Edit, message: str) -> None:
    state = vita_state()
    edit(state)
    path = write_zip(tmp_path / "vita.pth", as_file(state))
    with pytest.raises(ImportProblem, match=message):
        import_checkpoint("vita", path, backbone_dir=backbone, out=tmp_path / "run")


def test_clips_of_another_length_are_refused(tmp_path: Path, backbone: Path) -> None:
    path = write_zip(tmp_path / "vita.pth", as_file(vita_state()))
    message = r"clips of vita\.pth have 4 frames, and --frames asks for 8; its prompts cannot be stretched, so leave it"
    with pytest.raises(ImportProblem, match=message):
        import_checkpoint("vita", path, backbone_dir=backbone, out=tmp_path / "run", num_frames=8)


def test_command_warns_of_what_is_left_behind(tmp_path: Path, backbone: Path) -> None:
    path = write_zip(tmp_path / "vita.pth", as_file(vita_state()))
    arguments = ["import", "vita", path, "--backbone", backbone, "--out", tmp_path / "run"]
    answer = CliRunner().invoke(app, [str(each) for each in arguments])
    assert answer.exit_code == 0, answer.output
    assert "warning: the text branch learned a context for each class, which is left behind" in answer.output
