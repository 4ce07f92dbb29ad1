"""Cost of embedding labels: both ways give the same embeddings, and the figures are what they are called."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from service.contract.labels import Label
from tests.training.export.miniature import LABELS
from training.commands.menu import app
from training.errors import SettingError
from training.studies.label_cost import TowerCost, compare_costs, measure_label_cost, render_label_cost


def cost(*, lengths: str, cold: float, warm: tuple[float, ...], cpu: tuple[float, ...], positions: int) -> TowerCost:
    return TowerCost(
        language="en", lengths="padded" if lengths == "padded" else "dynamic", num_texts=3, num_positions=positions,
        compile_seconds=9.0, cold_seconds=cold, warm_seconds=warm, cpu_seconds=cpu,
    )  # fmt: skip


def test_ratios_add_up_languages_and_take_medians() -> None:
    costs = [
        cost(lengths="dynamic", cold=1.0, warm=(1.0, 9.0, 1.0), cpu=(2.0,), positions=10),
        cost(lengths="padded", cold=4.0, warm=(5.0,), cpu=(8.0,), positions=70),
        cost(lengths="dynamic", cold=1.0, warm=(1.0,), cpu=(2.0,), positions=10),
        cost(lengths="padded", cold=2.0, warm=(3.0,), cpu=(4.0,), positions=50),
    ]
    assert compare_costs(costs) == {"cold": 3.0, "warm": 4.0, "warm_cpu": 3.0, "positions": 6.0}


def test_both_ways_give_the_same_embeddings(bundle: Path) -> None:
    report = measure_label_cost(bundle, LABELS, num_repeats=2, num_threads=1, batch_size=2)
    assert report.max_difference < 1e-5
    assert [(each.language, each.lengths) for each in report.costs] == [
        ("en", "dynamic"), ("en", "padded"), ("zh", "dynamic"), ("zh", "padded"),
    ]  # fmt: skip
    assert [each.num_positions for each in report.costs][1::2] == [len(LABELS) * 32, len(LABELS) * 12]
    assert all(len(each.warm_seconds) == len(each.cpu_seconds) == 2 for each in report.costs)
    assert render_label_cost(report).row_count == 5


def test_label_of_one_language_is_refused(bundle: Path) -> None:
    with pytest.raises(SettingError, match="labels waving lack a language; give labels in both"):
        measure_label_cost(bundle, [*LABELS, Label("waving")], num_repeats=1, num_threads=1)


def test_bundle_without_chinese_is_refused(english_bundle: Path) -> None:
    with pytest.raises(SettingError, match="mini has no Chinese tower; give a bundle with two text towers"):
        measure_label_cost(english_bundle, LABELS, num_repeats=1, num_threads=1)


def test_command_writes_its_figures(bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "cost.json"
    arguments = ["label-cost", bundle, "--label-set", "motion_shapes", "--out", out, "--repeats", 1, "--threads", 1]
    result = CliRunner().invoke(app, [str(each) for each in arguments], env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    assert "padded / dynamic" in result.output
    assert json.loads(out.read_text(encoding="utf-8"))["num_labels"] == 96
