"""Reports of figures made up for the purpose: means, deviations, gaps, the paper's column and the plot."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from service.contract.labels import Label
from tests.training.tiny import RECIPE
from training.data.annotations import VideoData
from training.evaluation.protocols import PROTOCOLS
from training.studies.ablation.plan import Ablation
from training.studies.ablation.report import describe_results, render_markdown, write_report
from training.studies.ablation.results import Spread, collect_results
from training.studies.ablation.tables import TABLES, find_table
from training.studies.ablation.variants import PaperAccuracy, Table, Variant, full

BILINGUAL = Variant(name="both", title="+ Chinese", change=full, paper={"HMDB51": PaperAccuracy(73.2, 93.6)})
ENGLISH = Variant(name="one", title="English", change=full, paper={"UCF101": PaperAccuracy(81.8)})
MISSING = Variant(name="none", title="not run", change=full)
TABLE = Table(name="made_up", source="Table 0", title="Made up", variants=(BILINGUAL, ENGLISH, MISSING), note="A note.")


def ablation(directory: Path, table: Table = TABLE) -> Ablation:
    data = VideoData(directory, "shapes", (Label("a", "甲"), Label("b", "乙")), (), "0123456789abcdef")
    return Ablation(table=table, recipe=RECIPE, settings=("num_epochs=3",), data=data,
                    protocol=PROTOCOLS["open_vocabulary"], directory=directory)  # fmt: skip


def accuracy(reading: str, *, top1: float, pairs: float | None = 0.75) -> dict[str, Any]:
    return {"reading": reading, "fusion_lambda": 0.5, "top1": top1, "top5": 1.0, "pairs": pairs}


def write_run(folder: Path, *, accuracies: list[dict[str, Any]], value: float | None = 0.5) -> None:
    (folder / "evaluation").mkdir(parents=True)
    evaluation = {"num_videos": 40, "views": "1x1", "hardware": "abacus", "accuracies": accuracies,
                  "fusion": None if value is None else {"value": value, "chosen": "so"}}  # fmt: skip
    (folder / "evaluation" / "open_vocabulary.json").write_text(json.dumps(evaluation), encoding="utf-8")
    (folder / "model.json").write_text(json.dumps({"trainable_parameters": 1234, "gmacs_per_view": 0.25}))
    record = {"step": 1, "num_steps": 3, "epoch": 0, "loss": 1.0, "loss_en": 1.0, "loss_zh": None,
              "learning_rate": 1.0, "gradient_norm": 1.0}  # fmt: skip
    lines = [json.dumps({**record, "step_seconds": seconds}) for seconds in (9.0, 0.5, 0.25)]
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def fill(directory: Path) -> None:
    for seed, fused in ((0, 0.5), (1, 0.6), (10, 0.7)):
        readings = [accuracy("English", top1=0.4), accuracy("Chinese", top1=0.25), accuracy("fused", top1=fused)]
        write_run(directory / "both" / f"seed{seed}", accuracies=readings, value=0.05 * seed)
    write_run(directory / "one" / "seed0", accuracies=[accuracy("English", top1=0.3, pairs=None)], value=1.0)
    failed = directory / "none" / "seed4"
    failed.mkdir(parents=True)
    (failed / "failure.txt").write_text("RunError: too bad\n\nTraceback\n", encoding="utf-8")


@pytest.mark.parametrize(
    ("values", "expected"),
    [([], None), ([0.5], Spread(0.5, None)), ([1.0, 2.0, 4.0, 5.0], Spread(3.0, (10 / 3) ** 0.5))],
)
def test_spread_is_mean_and_sample_deviation(values: list[float], expected: Spread | None) -> None:
    assert Spread.of(values) == expected


def test_rows_hold_means_and_deviations_in_the_order_of_the_table(tmp_path: Path) -> None:
    fill(tmp_path)
    rows = [line for line in render_markdown(ablation(tmp_path), collect_results(ablation(tmp_path))).splitlines()
            if line.startswith("|")]  # fmt: skip
    assert rows[2:] == [
        "| + Chinese | 0, 1, 10 | 40.0 ± 0.0 | 100.0 ± 0.0 | 25.0 ± 0.0 | 100.0 ± 0.0 | 60.0 ± 10.0 | 100.0 ± 0.0 "
        "| 75.0 ± 0.0 | 0, 0.05, 0.5 | 1,234 | 0.25 | 500 ± 0 | 73.2 / 93.6 | – |",
        "| English | 0 | 30.0 | 100.0 | – | – | 30.0 | 100.0 | – | 1 | 1,234 | 0.25 | 500 | – | 81.8 |",
        "| not run | – | – | – | – | – | – | – | – | – | – | – | – | – | – |",
    ]


def test_head_and_foot_say_how_the_figures_came_about(tmp_path: Path) -> None:
    fill(tmp_path)
    text = render_markdown(ablation(tmp_path), collect_results(ablation(tmp_path)))
    assert text.splitlines()[:13] == [
        "# Made up (Table 0)",
        "",
        "- data: shapes (2 labels, digest 0123456789ab)",
        "- protocol: open_vocabulary, split test",
        "- videos: 40",
        "- views: 1x1",
        "- recipe: tiny with num_epochs=3; the variants change it further",
        "- training: 3 epochs, batch 4, split train",
        "- seeds: 0, 1, 10",
        "- lambda: for each run the best top-1 on split val in steps of 0.05; 1 without a Chinese branch",
        "- hardware: abacus",
        "",
        "| variant | seeds | English top-1 | top-5 | Chinese top-1 | top-5 | fused top-1 | top-5 | pairs | lambda | "
        "trainable | GMACs | ms/step | paper HMDB51 | paper UCF101 |",
    ]
    assert "closed" not in text
    assert text.endswith("A note.\n\n## Failed\n\n- none, seed 4: RunError: too bad\n")


def test_json_holds_the_same(tmp_path: Path) -> None:
    fill(tmp_path)
    values = describe_results(ablation(tmp_path), collect_results(ablation(tmp_path)))
    both, one, none = values["variants"]
    assert both["accuracies"]["fused_top1"] == {"mean": pytest.approx(0.6), "deviation": pytest.approx(0.1)}
    nothing = {"top1": None, "top5": None, "base": None, "novel": None}
    assert both["paper"] == {"hmdb51": {**nothing, "top1": 73.2, "top5": 93.6}, "ucf101": nothing}
    assert both["part_top1"] == []
    assert (one["accuracies"]["chinese_top1"], one["accuracies"]["fused_pairs"]) == (None, None)
    assert one["fusion"] == [{"value": 1.0, "chosen": "so"}]
    assert (none["seeds"], none["failures"]) == ([], {"4": "RunError: too bad"})


@pytest.mark.parametrize("table", [TABLE, *TABLES.values()], ids=lambda table: table.name)
def test_report_is_written_whole_however_little_there_is(tmp_path: Path, table: Table) -> None:
    own = ablation(tmp_path, table)
    for number, variant in enumerate(table.variants[:-1]):
        write_run(tmp_path / variant.name / "seed0", accuracies=[accuracy("English", top1=number / 20)])
    write_report(own)
    assert {path.name for path in tmp_path.glob("*report*")} == {"report.json", "report.md", "report.png"}
    assert json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["table"] == table.name
    with Image.open(tmp_path / "report.png") as picture:
        assert min(picture.size) > 300


def test_closed_classes_stand_under_fused_beside_the_figures_of_their_data_set(tmp_path: Path) -> None:
    sure = Variant(name="sure", title="classes", change=full, paper={"SSv1": PaperAccuracy(59.4)})
    own = ablation(tmp_path, replace(TABLE, variants=(sure,), data_sets=("SSv1",)))
    write_run(tmp_path / "sure" / "seed0", accuracies=[accuracy("classes", top1=0.75)], value=None)
    text = render_markdown(own, collect_results(own))
    assert "| ms/step | paper SSv1 |\n" in text
    assert "\n| classes | 0 | – | – | – | – | 75.0 | 100.0 | 75.0 | – | 1,234 | 0.25 | 500 | 59.4 |\n" in text
    assert (
        "\n\nA closed set of classes is read in no language: its top-1 and top-5 stand under fused.\n\nA note." in text
    )
    (variant,) = describe_results(own, collect_results(own))["variants"]
    assert variant["paper"] == {"ssv1": {"top1": 59.4, "top5": None, "base": None, "novel": None}}
    assert variant["accuracies"]["fused_top1"] == {"mean": 0.75, "deviation": None}


def test_empty_folder_gives_an_empty_report(tmp_path: Path) -> None:
    own = ablation(tmp_path, find_table("frames"))
    write_report(own)
    assert "- seeds: –" in (tmp_path / "report.md").read_text(encoding="utf-8")
