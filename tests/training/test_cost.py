"""Memory and time of training, measured on a miniature and rendered; figures of real sizes come from the command."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.training.tiny import CLIP, MODEL, RECIPE, tiny_prompts
from training.cli import app
from training.config import ModelConfig
from training.cost import call_in_fresh_process, compare_costs, list_variants, measure_cost, render_costs
from training.errors import RunError


def test_variants_differ_in_what_trains() -> None:
    assert list_variants(MODEL) == {
        "adapters": MODEL,
        "fully fine-tuned": replace(MODEL, tune_image_tower=True),
        "adapters without beta": tiny_prompts(beta="none"),
    }


def test_fine_tuning_is_compared_by_tower_and_with_prompts() -> None:
    clip = replace(CLIP, vision_layers=9, text_layers=9, context_length=24)
    model = ModelConfig(method="vificlip", clip=clip, chinese=None, num_frames=4, temporal_prompts=None,
                        supervision="english", aggregation="mean", renormalise=False,
                        preprocessing=MODEL.preprocessing)  # fmt: skip
    costs = {
        name: measure_cost(replace(RECIPE, model=each), num_steps=1) for name, each in list_variants(model).items()
    }
    trainable = {name: cost.trainable_parameters for name, cost in costs.items()}
    assert list(trainable) == ["fully fine-tuned", "image tower", "text tower", "prompts"]
    # The temperature trains only with both towers.
    assert trainable["fully fine-tuned"] == trainable["image tower"] + trainable["text tower"] + 1
    assert trainable["prompts"] == 9 * 16 * (clip.vision_width + clip.text_width)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("supervision", ["dual", "english"])
def test_cost_leaves_out_the_step_that_warms_up(precision: Any, supervision: Any) -> None:  # noqa: ANN401
    model = replace(MODEL, supervision=supervision)
    cost = measure_cost(replace(RECIPE, model=model, fit=replace(RECIPE.fit, precision=precision)), num_steps=2)
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
