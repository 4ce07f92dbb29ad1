"""What trains is what the adapters declare: names, gradients and changed tensors."""

from dataclasses import replace
from typing import get_args

import pytest
import torch

from tests.training.tiny import MODEL, random_clips, tiny_model, tiny_prompts
from training.config.adapters import Beta, TemporalEmbeddingConfig
from training.config.model import ModelConfig
from training.fitting.optimizer import build_optimizer
from training.fitting.step import prepare_modes
from training.models.freezing import adapter_modules, adapter_parameter_names, parameter_groups
from training.models.reparameterization.encoder import Reparameterization
from training.models.video_clip import VideoCLIP


def train(model: VideoCLIP, *, num_steps: int) -> None:
    prepare_modes(model)
    optimizer = build_optimizer(model, learning_rate=0.1, weight_decay=0.1, betas=(0.9, 0.999))
    target = torch.randn(3, 4, 16, generator=torch.Generator().manual_seed(2))
    for _ in range(num_steps):
        optimizer.zero_grad()
        (model.encode_video(random_clips(3)) * target).sum().backward()
        optimizer.step()


BASELINE = replace(MODEL, adapters=TemporalEmbeddingConfig())
# Batch norm takes away what a bias before it adds; where rounding leaves nothing, such a bias never moves.
CANCELLED = {
    f"video.prompts.{layer}.reparameterization.block.{unit}.0.route.reduce.bias" for layer in (0, 1) for unit in (0, 1)
}
VARIANTS = [tiny_prompts(beta=beta) for beta in get_args(Beta)]


@pytest.mark.parametrize("config", [*VARIANTS, tiny_prompts(zero_init_beta=False), BASELINE])
def test_exactly_the_adapters_change(config: ModelConfig) -> None:
    model = tiny_model(config)
    before = {name: tensor.clone() for name, tensor in model.named_parameters()}
    train(model, num_steps=3)
    changed = {name for name, tensor in model.named_parameters() if not torch.equal(tensor, before[name])}
    assert changed | CANCELLED == adapter_parameter_names(model) | CANCELLED


@pytest.mark.parametrize(
    "config",
    [tiny_prompts(tune_image_tower=True), replace(MODEL, adapters=TemporalEmbeddingConfig(tune_image_tower=True))],
)
def test_tuned_image_tower_changes_along_with_the_adapters(config: ModelConfig) -> None:
    model = tiny_model(config)
    before = {name: tensor.clone() for name, tensor in model.named_parameters()}
    train(model, num_steps=3)
    changed = {name for name, tensor in model.named_parameters() if not torch.equal(tensor, before[name])}
    tower = {f"video.visual.{name}" for name, _ in model.video.visual.named_parameters()}
    assert changed == adapter_parameter_names(model) | tower
    assert model.video.visual.training


def test_baseline_has_only_a_temporal_embedding() -> None:
    assert adapter_parameter_names(tiny_model(BASELINE)) == {"video.temporal_embedding"}


def test_every_adapter_tensor_gets_a_gradient_and_no_other_does() -> None:
    model = tiny_model(tiny_prompts(zero_init_beta=False))
    train(model, num_steps=1)
    reached = {name for name, tensor in model.named_parameters() if tensor.grad is not None and tensor.grad.any()}
    assert reached == adapter_parameter_names(model)


def test_adapters_are_the_prompts_and_the_temporal_embedding() -> None:
    names = adapter_parameter_names(tiny_model())
    assert {name.split(".")[1] for name in names} == {"prompts", "temporal_embedding"}
    assert all(name.startswith("video.") for name in names)


def test_adapter_modules_are_one_a_layer() -> None:
    assert [type(module).__name__ for module in adapter_modules(tiny_model())] == ["TemporalPrompts"] * 2


def test_groups_count_every_parameter_once() -> None:
    model = tiny_model()
    groups = parameter_groups(model)
    assert sum(sum(pair) for pair in groups.values()) == sum(p.numel() for p in model.parameters())
    assert {name for name, (trainable, _) in groups.items() if trainable} == {"temporal_prompts", "reparameterization"}


def test_adapters_train_and_towers_do_not() -> None:
    model = tiny_model()
    prepare_modes(model)
    assert not model.video.visual.training
    assert not model.english.training
    betas = [module for module in model.modules() if isinstance(module, Reparameterization)]
    assert [beta.block.training for beta in betas] == [True, True]


def test_running_statistics_move_in_training() -> None:
    model = tiny_model()
    before = {name: values.clone() for name, values in model.named_buffers() if name.endswith("running_mean")}
    train(model, num_steps=1)
    buffers = dict(model.named_buffers())
    assert before
    assert all(not torch.equal(buffers[name], values) for name, values in before.items())
