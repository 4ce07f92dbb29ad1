"""Memory and time of training, measured on a miniature and rendered; figures of real sizes come from the command."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from tests.training.fine_tuned import FINE_TUNED
from tests.training.side import random_segments, side_config
from tests.training.tiny import CLIP, MODEL, RECIPE, tiny_model, tiny_prompts
from training.commands.menu import app
from training.config.model import ModelConfig
from training.errors import RunError
from training.models.video_clip import VideoCLIP
from training.studies.cost import (
    Cost,
    Part,
    call_in_fresh_process,
    compare_costs,
    count_labels,
    list_parts,
    measure_cost,
    open_tower,
    render_costs,
)


def measure(model: ModelConfig, **changes: Any) -> dict[str, Cost]:  # noqa: ANN401
    """Measure all parts of a model in this process, two steps each."""
    recipe = replace(RECIPE, fit=replace(RECIPE.fit, **changes))
    return {
        name: measure_cost(recipe, part=part, num_steps=1, num_labels=3) for name, part in list_parts(model).items()
    }


def test_parts_differ_in_what_trains() -> None:
    assert list_parts(MODEL) == {
        "adapters": Part(MODEL),
        "fully fine-tuned": Part(tiny_prompts(tune_image_tower=True)),
        "adapters without beta": Part(tiny_prompts(beta="none")),
    }


def test_fine_tuning_is_compared_by_tower_and_with_prompts() -> None:
    clip = replace(CLIP, vision_layers=9, text_layers=9, context_length=24)
    model = replace(FINE_TUNED, clip=clip, chinese=None)
    trainable = {name: cost.trainable_parameters for name, cost in measure(model).items()}
    assert list(trainable) == ["fully fine-tuned", "image tower", "text tower", "prompts"]
    # The temperature trains only with both towers.
    assert trainable["fully fine-tuned"] == trainable["image tower"] + trainable["text tower"] + 1
    assert trainable["prompts"] == 9 * 16 * (clip.vision_width + clip.text_width)


@pytest.mark.parametrize("head", ["linear", "cosine"])
def test_side_network_is_compared_with_other_methods_and_with_itself(head: Any) -> None:  # noqa: ANN401
    closed = side_config(head=head, num_classes=3 if head == "linear" else None)
    trainable = {name: cost.trainable_parameters for name, cost in measure(closed).items()}
    assert list(trainable) == [
        "side network", "fully fine-tuned", "image tower", "dual semantics",
        "side network, gradients through the tower", "Side4Video",
    ]  # fmt: skip
    # The tower that gradients pass does not train.
    assert trainable["side network, gradients through the tower"] == trainable["side network"]
    assert trainable["Side4Video"] < trainable["side network"]


def count_kept_bytes(model: VideoCLIP) -> int:
    """Sum what the graph of one clip keeps until its gradients are taken."""
    sizes: list[int] = []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        sizes.append(tensor.nbytes)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda each: each):
        model.encode_video(random_segments(1, config=model.config)).sum().backward()
    return sum(sizes)


def test_gradients_pass_a_tower_that_is_opened_and_keep_its_activations() -> None:
    model = tiny_model(side_config(head="linear", num_classes=3))
    closed = count_kept_bytes(model)
    open_tower(model)
    assert count_kept_bytes(model) > closed
    named = model.video.visual.named_parameters()
    assert [name for name, each in named if each.grad is not None] == ["positional_embedding"]


@pytest.mark.parametrize(("classes", "expected"), [(3, 3), (None, 174)])
def test_side_network_is_measured_with_its_own_classes(classes: int | None, expected: int) -> None:
    assert count_labels(side_config(num_classes=classes)) == expected


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("supervision", ["dual", "english"])
def test_cost_leaves_out_the_step_that_warms_up(precision: Any, supervision: Any) -> None:  # noqa: ANN401
    model = replace(MODEL, supervision=supervision)
    recipe = replace(RECIPE, fit=replace(RECIPE.fit, precision=precision))
    cost = measure_cost(recipe, part=Part(model), num_steps=2, num_labels=51)
    assert (len(cost.step_seconds), len(cost.cpu_seconds), cost.device) == (2, 2, "cpu")
    assert min(cost.step_seconds) > 0
    assert cost.trainable_parameters > 0


@pytest.mark.slow
def test_report_compares_every_variant_with_full_fine_tuning() -> None:
    report = compare_costs(RECIPE, num_steps=1)
    trainable = {name: cost["trainable_parameters"] for name, cost in report["variants"].items()}
    assert trainable["adapters without beta"] < trainable["adapters"] < trainable["fully fine-tuned"]
    assert report["variants"]["fully fine-tuned"]["memory_ratio"] == 1.0
    assert report["variants"]["fully fine-tuned"]["time_ratio"] == 1.0
    assert json.loads(json.dumps(report))["environment"]["package_versions"]["torch"].startswith("2.13")
    assert render_costs(report).row_count == 3


def test_measurement_that_the_system_ends_is_explained() -> None:
    with pytest.raises(RunError, match=r"the measurement ended early .*; lower --batch-size or --frames"):
        call_in_fresh_process(os._exit, 9)


def test_command_refuses_what_it_cannot_measure(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["cost", "--backbone", "RN50", "--out", str(tmp_path / "cost.json")])
    assert result.exit_code == 1
    assert "architecture is 'RN50', but only open_clip's ViT CLIPs" in result.stderr
