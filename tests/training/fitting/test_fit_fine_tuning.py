"""Runs of fine-tuned and of prompted CLIP: what changes, what is kept, and where prompting finds its towers."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file, save_file

from tests.training.fine_tuned import DEEP_PROMPTS, FINE_TUNED, FINE_TUNING, PROMPTED, fine_tuned, prompted
from tests.training.fitting.test_fit import same_weights, stop_after
from tests.training.processes.ranks import do_nothing
from tests.training.tiny import LABELS, RECIPE, random_clips
from training.config.adapters import Fusion
from training.config.model import Recipe
from training.data.annotations import VideoData
from training.data.loader import ClipBatch
from training.errors import DivergenceError, RunError
from training.fitting.fit import FitResources, fit
from training.fitting.step import Optimisation
from training.fitting.texts import prepare_texts
from training.models.video_clip import VideoCLIP
from training.runs.backbone import read_backbone
from training.runs.bridge import BRIDGE_NAME
from training.runs.checkpoint import latest_checkpoint
from training.runs.curves import read_records
from training.runs.run import load_model
from training.runs.tensors import adapter_state

PROMPTING = replace(FINE_TUNING, name="tiny_vl_prompting", model=PROMPTED)
BRIDGED = prompted(allow_unbridged=False)
MIXED = replace(FINE_TUNING.fit, mixup_alpha=0.8, cutmix_alpha=1.0)
TOWERS: dict[str, set[str]] = {"full": {"video", "english", "logit_scale"}, "image": {"video"}, "text": {"english"}}


@pytest.fixture
def run(data: VideoData, backbone_dir: Path, frames_cache: Path, tmp_path: Path) -> Callable[..., VideoCLIP]:
    def start(
        name: str, recipe: Recipe, *, towers: Path | None = backbone_dir, begin: object = do_nothing
    ) -> VideoCLIP:
        resources = FitResources(run_dir=tmp_path / name, cache_dir=frames_cache, num_workers=1)
        return fit(recipe, data=data, resources=resources, backbone_dir=towers, resume=towers is None, begin=begin)  # type: ignore[arg-type]

    return start


def optimise(backbone_dir: Path, data: VideoData, *, recipe: Recipe) -> tuple[VideoCLIP, Optimisation]:
    torch.manual_seed(0)
    model = read_backbone(backbone_dir).build(recipe.model)
    texts = prepare_texts(model, data.labels)
    return model, Optimisation(model, texts=texts, config=recipe.fit, accelerator=Accelerator())


def batch_of(num_clips: int) -> ClipBatch:
    return ClipBatch(random_clips(num_clips), torch.arange(num_clips) % len(LABELS))


@pytest.mark.parametrize("fusion", ["embedding", "decision", "image"])
@pytest.mark.parametrize("part", [*TOWERS, "prompts"])
def test_exactly_what_a_mode_trains_changes(backbone_dir: Path, data: VideoData, part: str, fusion: Fusion) -> None:
    config = prompted(fusion=fusion) if part == "prompts" else fine_tuned(mode=part, fusion=fusion)
    recipe = replace(FINE_TUNING, model=config)
    model, optimisation = optimise(backbone_dir, data, recipe=recipe)
    before = {name: tensor.clone() for name, tensor in model.named_parameters()}
    for step in (1, 2):
        optimisation.take_step(batch_of(4), learning_rate=0.01, step=step)
    changed = {name for name, tensor in model.named_parameters() if not torch.equal(tensor, before[name])}
    assert changed == {name for name, tensor in model.named_parameters() if tensor.requires_grad}
    assert not any("token_embedding" in name for name in changed)
    expected = {**TOWERS, "prompts": {"video", "english"}}[part]
    assert {name.split(".")[0] for name in changed} == expected


@pytest.mark.parametrize("mode", TOWERS)
def test_towers_that_train_are_in_training_mode(backbone_dir: Path, data: VideoData, mode: str) -> None:
    model, _ = optimise(backbone_dir, data, recipe=replace(FINE_TUNING, model=fine_tuned(mode=mode)))
    assert {"video": model.video.visual.training, "english": model.english.training} == {
        name: name in TOWERS[mode] for name in ("video", "english")
    }


def test_passes_add_up_to_one_step(backbone_dir: Path, data: VideoData) -> None:
    whole, parts = (replace(FINE_TUNING, fit=replace(MIXED, clips_per_pass=size)) for size in (None, 2))
    results = []
    for recipe in (whole, parts):
        _, optimisation = optimise(backbone_dir, data, recipe=recipe)
        losses, norm = optimisation.take_step(batch_of(5), learning_rate=0.0, step=1)
        results.append((losses.total.item(), norm))
    assert results[1] == pytest.approx(results[0], rel=1e-5)


def test_frozen_texts_are_encoded_once(backbone_dir: Path, data: VideoData) -> None:
    model, optimisation = optimise(backbone_dir, data, recipe=replace(FINE_TUNING, model=fine_tuned(mode="image")))
    calls: list[int] = []
    model.english.register_forward_hook(lambda *_: calls.append(1))
    optimisation.take_step(batch_of(4), learning_rate=0.01, step=1)
    assert calls == []


def test_trained_texts_are_encoded_once_a_step(backbone_dir: Path, data: VideoData) -> None:
    model, optimisation = optimise(backbone_dir, data, recipe=FINE_TUNING)
    rows: list[int] = []
    model.english.register_forward_hook(lambda _, inputs, __: rows.append(len(inputs[0])))
    optimisation.take_step(batch_of(6), learning_rate=0.01, step=1)
    assert rows == [len(LABELS)]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("logit_scale", "parameter logit_scale is not finite at step 1"),
        ("english.ln_final.weight", "parameter english.ln_final.weight is not finite at step 1"),
    ],
)
def test_number_that_is_not_finite_is_named(backbone_dir: Path, data: VideoData, name: str, message: str) -> None:
    model, optimisation = optimise(backbone_dir, data, recipe=FINE_TUNING)
    model.get_parameter(name).data.fill_(torch.nan)
    with pytest.raises(DivergenceError, match=message):
        optimisation.take_step(batch_of(4), learning_rate=0.01, step=1)


def test_gradients_are_not_clipped_where_no_norm_is_given(backbone_dir: Path, data: VideoData) -> None:
    for limit in (1e-6, None):
        recipe = replace(FINE_TUNING, fit=replace(FINE_TUNING.fit, max_gradient_norm=limit))
        model, optimisation = optimise(backbone_dir, data, recipe=recipe)
        moments: list[float] = []
        optimisation.optimizer.register_step_pre_hook(
            lambda *_, own=model, found=moments: found.append(
                torch.nn.utils.get_total_norm([p.grad for p in own.parameters() if p.grad is not None]).item()
            )
        )
        _, norm = optimisation.take_step(batch_of(4), learning_rate=0.01, step=1)
        assert moments == pytest.approx([norm if limit is None else limit], rel=1e-3)


def test_tokens_of_labels_are_refused_where_texts_are_frozen(backbone_dir: Path) -> None:
    tokens = read_backbone(backbone_dir).build(FINE_TUNED).tokenize_en(["waving"])
    model = read_backbone(backbone_dir).build(RECIPE.model)
    with pytest.raises(ValueError, match="dual_semantic takes the embeddings of labels, but LabelTokens was given"):
        Optimisation(model, texts=tokens, config=RECIPE.fit, accelerator=Accelerator())


@pytest.mark.parametrize(
    "recipe",
    [*(replace(FINE_TUNING, model=fine_tuned(mode=mode), fit=MIXED) for mode in TOWERS), PROMPTING],
    ids=[*TOWERS, "prompts"],
)
def test_stopped_and_resumed_run_equals_one_that_was_not(
    run: Callable[..., VideoCLIP], tmp_path: Path, recipe: Recipe
) -> None:
    whole = run("whole", recipe)
    with pytest.raises(KeyboardInterrupt):
        run("stopped", recipe, begin=stop_after(3))
    assert same_weights(run("stopped", recipe, towers=None), whole)
    loaded = load_model(tmp_path / "whole")
    assert same_weights(loaded, whole)
    assert set(load_file(latest_checkpoint(tmp_path / "whole") / "adapters.safetensors")) == set(adapter_state(loaded))
    assert loaded.config.scoring.tau == whole.config.scoring.tau == pytest.approx(math.exp(-loaded.logit_scale.item()))  # type: ignore[union-attr]


@pytest.mark.parametrize("recipe", [FINE_TUNING, PROMPTING, replace(FINE_TUNING, model=fine_tuned(mode="text"))])
def test_loss_falls_where_there_is_something_to_learn(
    run: Callable[..., VideoCLIP], tmp_path: Path, recipe: Recipe
) -> None:
    run("run", replace(recipe, fit=replace(recipe.fit, num_epochs=20, learning_rate=5e-3)))
    losses = [each.loss for each in read_records(tmp_path / "run")]
    assert sum(losses[-10:]) < sum(losses[:10])


def test_bfloat16_stays_near_full_precision(run: Callable[..., VideoCLIP], tmp_path: Path) -> None:
    run("fp32", FINE_TUNING)
    run("bf16", replace(FINE_TUNING, fit=replace(FINE_TUNING.fit, precision="bf16")))
    first = [read_records(tmp_path / name)[0].loss for name in ("fp32", "bf16")]
    assert first[1] == pytest.approx(first[0], rel=0.1)


def test_temperature_is_that_of_clip_or_a_hundredth(backbone_dir: Path) -> None:
    backbone = read_backbone(backbone_dir)
    assert backbone.build(FINE_TUNED).config.scoring.tau == pytest.approx(0.07)
    clip = {name: tensor for name, tensor in backbone.clip.items() if name != "logit_scale"}
    assert replace(backbone, clip=clip).build(FINE_TUNED).config.scoring.tau == pytest.approx(0.01)
    assert backbone.build(RECIPE.model).logit_scale is None


def test_few_text_prompts_start_as_a_photo_of_a(backbone_dir: Path) -> None:
    backbone = read_backbone(backbone_dir)
    model = backbone.build(prompted(num_text_tokens=4))
    ids = backbone.tokenizers.english.encode(["a photo of a"], template="{}", word_set="label").token_ids[0, 1:5]
    assert model.english.vl_prompts is not None
    assert torch.equal(model.english.vl_prompts.prompt_tokens[0], model.english.token_embedding.weight[ids])


def test_prompting_goes_on_from_the_towers_of_a_fine_tuned_run(run: Callable[..., VideoCLIP], tmp_path: Path) -> None:
    bridge = run("bridge", FINE_TUNING)
    before = bridge.state_dict()
    model = run("prompts", replace(PROMPTING, model=BRIDGED), towers=tmp_path / "bridge")
    own = {name: tensor for name, tensor in model.state_dict().items() if "vl_prompts" not in name}
    assert own.keys() == before.keys()
    assert all(torch.equal(tensor, before[name]) for name, tensor in own.items())
    origin = json.loads((tmp_path / "prompts" / "backbone" / BRIDGE_NAME).read_text(encoding="utf-8"))
    assert (origin["recipe"]["name"], origin["training_data"]["name"], origin["step"]) == ("tiny_vificlip", "data", 6)
    names = {path.name for path in (tmp_path / "prompts" / "backbone").iterdir()}
    assert names == {"backbone.json", "bridge.json", "clip.safetensors", "tokenizer_en.json"}
    assert same_weights(load_model(tmp_path / "prompts"), model)


def test_prompting_run_resumes_on_its_bridged_towers(run: Callable[..., VideoCLIP], tmp_path: Path) -> None:
    run("bridge", FINE_TUNING)
    recipe = replace(PROMPTING, model=BRIDGED)
    whole = run("whole", recipe, towers=tmp_path / "bridge")
    with pytest.raises(KeyboardInterrupt):
        run("stopped", recipe, towers=tmp_path / "bridge", begin=stop_after(2))
    assert same_weights(run("stopped", recipe, towers=None), whole)


def test_prompting_towers_that_were_never_bridged_says_what_to_run(
    run: Callable[..., VideoCLIP], tmp_path: Path
) -> None:
    message = (
        "never fine-tuned on videos, .*; run `duoact-train fit vl_bridge --data DATA .*, or --set allow_unbridged=true"
    )
    with pytest.raises(RunError, match=message):
        run("run", replace(PROMPTING, model=BRIDGED))
    assert not (tmp_path / "run").exists()


def test_run_of_another_method_has_no_towers_to_go_on_from(run: Callable[..., VideoCLIP], tmp_path: Path) -> None:
    run("adapters", RECIPE)
    with pytest.raises(RunError, match="adapters is a run of dual_semantic, but only one of vificlip has towers"):
        run("prompts", PROMPTING, towers=tmp_path / "adapters")


def test_prompts_deeper_than_the_towers_are_refused_before_the_run_starts(
    run: Callable[..., VideoCLIP], tmp_path: Path
) -> None:
    deep = replace(PROMPTED, clip="ViT-B-16-quickgelu", adapters=replace(DEEP_PROMPTS, depth=2))
    with pytest.raises(RunError, match="does not fit its backbone: depth is 2, but the text tower has 1 layers; lower"):
        run("run", replace(PROMPTING, model=deep))
    assert not (tmp_path / "run").exists()


def test_checkpoint_of_a_fine_tuned_text_tower_is_strict(run: Callable[..., VideoCLIP], tmp_path: Path) -> None:
    run("run", FINE_TUNING)
    path = latest_checkpoint(tmp_path / "run") / "adapters.safetensors"
    tensors = load_file(path)
    del tensors["english.text_projection"]
    save_file(tensors, path)
    with pytest.raises(RunError, match=r"does not fit the model. missing: english.text_projection"):
        load_model(tmp_path / "run")


def test_backbone_of_before_bridges_still_loads(backbone_dir: Path, tmp_path: Path) -> None:
    folder = tmp_path / "backbone"
    folder.mkdir()
    for path in backbone_dir.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    values = json.loads((folder / "backbone.json").read_text(encoding="utf-8"))
    del values["bridged"]
    (folder / "backbone.json").write_text(json.dumps(values), encoding="utf-8")
    assert not read_backbone(folder).config.bridged
