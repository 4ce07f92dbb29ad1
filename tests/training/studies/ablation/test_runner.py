"""Filling a folder: every run once, going on where it stopped, side by side with others, and past failures."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from tests.training.fine_tuned import FINE_TUNING, prompted
from tests.training.side import SIDE_MODEL
from tests.training.tiny import RECIPE, write_tiny_backbone, write_tiny_data
from training.config.model import Recipe
from training.data.annotations import VideoData, read_video_data
from training.errors import RunError, SettingError
from training.files.locks import lock_if_free
from training.studies.ablation.plan import Ablation, PlannedRun, list_runs, open_ablation
from training.studies.ablation.progress import Display
from training.studies.ablation.report import write_report
from training.studies.ablation.results import collect_results
from training.studies.ablation.runner import DecodeResources, run_all
from training.studies.ablation.tables import find_table
from training.studies.ablation.variants import Table, Variant, fine_tuned, full, vanilla, with_prompts


def impossible(_: Recipe) -> Recipe:
    raise ValueError("beta is made of cheese")


TP = Variant(name="tp", title="TP", change=partial(with_prompts, beta="none"))
FULL = Variant(name="full", title="full", change=full)
TABLE = Table(name="small", source="Table 0", title="Small", variants=(TP, FULL))
Open = Callable[..., Ablation]


@pytest.fixture
def start(data: VideoData, backbone_dir: Path, tmp_path: Path) -> Open:
    recipe = replace(RECIPE, fit=replace(RECIPE.fit, num_epochs=1))
    return partial(open_ablation, TABLE, recipe=recipe, settings=[], data=data, backbone_dir=backbone_dir,
                   protocol="open_vocabulary", directory=tmp_path / "out")  # fmt: skip


@pytest.fixture
def run(frames_cache: Path) -> Callable[..., tuple[int, str]]:
    def work(ablation: Ablation, *, seeds: tuple[int, ...] = (0,), only: tuple[str, ...] = ()) -> tuple[int, str]:
        runs = list_runs(ablation, only=only, seeds=seeds)
        console = Console(width=200, file=StringIO())
        num_failed = run_all(
            ablation,
            runs,
            resources=DecodeResources(frames_cache, 1),
            display=Display(console, len(runs)),
            after_each=partial(write_report, ablation),
        )
        return num_failed, console.file.getvalue()  # type: ignore[attr-defined]

    return work


def metrics(run: PlannedRun) -> list[float]:
    lines = (run.directory / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["loss"] for line in lines]


def test_runs_are_made_once_seed_by_seed(start: Open, run: Callable[..., tuple[int, str]]) -> None:
    ablation = start()
    assert [each.name for each in list_runs(ablation, only=[], seeds=[0, 3])] == [
        "tp, seed 0", "full, seed 0", "tp, seed 3", "full, seed 3",
    ]  # fmt: skip
    num_failed, said = run(ablation, seeds=(0, 3))
    assert num_failed == 0
    assert "1/4 tp, seed 0: top-1" in said
    assert [result.seeds for result in collect_results(ablation)] == [(0, 3), (0, 3)]
    before = {path: path.stat().st_mtime_ns for path in ablation.directory.rglob("checkpoint/*/*")}
    assert run(start(), seeds=(0, 3))[1].count("was done before") == 4
    assert {path: path.stat().st_mtime_ns for path in ablation.directory.rglob("checkpoint/*/*")} == before
    seed0, seed3 = (ablation.directory / "full" / name / "config.json" for name in ("seed0", "seed3"))
    assert [json.loads(path.read_text(encoding="utf-8"))["fit"]["seed"] for path in (seed0, seed3)] == [0, 3]


def test_runs_share_the_bytes_of_one_backbone(start: Open, run: Callable[..., tuple[int, str]]) -> None:
    ablation = start()
    run(ablation)
    files = [folder / "clip.safetensors" for folder in ablation.directory.rglob("backbone")]
    assert len(files) == 3
    assert len({path.stat().st_ino for path in files}) == 1


@pytest.mark.parametrize("remains", ["start", "checkpoint", "evaluation"])
def test_stopped_run_ends_as_one_that_was_not(start: Open, run: Callable[..., tuple[int, str]], remains: str) -> None:
    ablation = start()
    (whole,) = list_runs(ablation, only=["full"], seeds=[0])
    run(ablation, only=("full",))
    losses, report = metrics(whole), collect_results(ablation)[1].accuracy("fused", measure="top1")
    if remains == "start":
        shutil.rmtree(whole.directory / "checkpoint")
    if remains != "evaluation":
        shutil.rmtree(whole.directory / "evaluation")
    assert run(start(), only=("full",))[0] == 0
    assert (metrics(whole), collect_results(ablation)[1].accuracy("fused", measure="top1")) == (losses, report)


def test_run_in_other_hands_is_left_alone(start: Open, run: Callable[..., tuple[int, str]]) -> None:
    ablation = start()
    first, _ = list_runs(ablation, only=[], seeds=[0])
    with lock_if_free(first.lock) as is_free:
        assert is_free
        num_failed, said = run(ablation)
    assert (num_failed, first.directory.exists()) == (0, False)
    assert "1/2 tp, seed 0: in work by another process" in said
    assert [result.seeds for result in collect_results(ablation)] == [(), (0,)]


def test_failure_is_kept_and_does_not_stop_the_others(start: Open, run: Callable[..., tuple[int, str]]) -> None:
    broken = replace(TABLE, variants=(Variant(name="tp", title="TP", change=impossible), FULL))
    ablation = replace(start(), table=broken)
    num_failed, said = run(ablation)
    assert num_failed == 1
    assert "1/2 tp, seed 0: FAILED, ValueError: beta is made of cheese" in said
    assert "- tp, seed 0: ValueError: beta is made of cheese" in (ablation.directory / "report.md").read_text()
    first, second = collect_results(ablation)
    assert (first.failures, second.seeds) == ({0: "ValueError: beta is made of cheese"}, (0,))
    assert run(start())[0] == 0
    assert [each.failures for each in collect_results(ablation)] == [{}, {}]


def test_folder_of_other_settings_is_refused(start: Open) -> None:
    start()
    longer = replace(RECIPE, name="long")
    with pytest.raises(RunError, match=(
        r"out was started with other settings: protocol is 'open_vocabulary' there and 'novel_compositions' here; "
        r"recipe\.name is 'tiny' there and 'long' here; recipe\.fit\.num_epochs is 1 there and 3 here\. "
        r"Give those of its table\.json, or another folder with --out"
    )):  # fmt: skip
        start(recipe=longer, protocol="novel_compositions")


def test_folder_of_other_data_or_towers_is_refused(start: Open, tmp_path: Path) -> None:
    start()
    other = read_video_data(write_tiny_data(tmp_path / "other"))
    with pytest.raises(RunError, match=r"data\.name is 'data' there and 'other' here"):
        start(data=other)
    towers = write_tiny_backbone(tmp_path / "towers", chinese=False)
    with pytest.raises(RunError, match=r"backbone is '[0-9a-f]{64}' there and '[0-9a-f]{64}' here; recipe\.model\.chi"):
        start(backbone_dir=towers)


def test_protocol_must_tell_variants_apart(start: Open) -> None:
    with pytest.raises(SettingError, match="protocol is 'frozen_baseline'; those that evaluate a run are open_vocab"):
        start(protocol="frozen_baseline")


def test_unknown_variant_is_refused(start: Open) -> None:
    with pytest.raises(SettingError, match="--only names gru; table small has tp, full"):
        list_runs(start(), only=["gru", "tp"], seeds=[0])


def prompt(recipe: Recipe) -> Recipe:
    return replace(recipe, model=prompted(allow_unbridged=False))


CHAIN = Table(
    name="chain", source="Table 0", title="Chain",
    variants=(
        Variant(name="vanilla", title="CLIP", change=vanilla, trains=False),
        Variant(name="full", title="tuned", change=fine_tuned),
        Variant(name="prompting", title="prompted", change=prompt, starts_from="full"),
    ),
)  # fmt: skip


@pytest.fixture
def start_chain(data: VideoData, backbone_dir: Path, tmp_path: Path) -> Open:
    """Plan fine-tuning and prompting, with "waving" as the novel label."""
    halves = replace(data, annotations=tuple(
        each for each in data.annotations if (each.label_id == 2) == (each.split == "novel")
    ))  # fmt: skip
    recipe = replace(FINE_TUNING, fit=replace(FINE_TUNING.fit, num_epochs=1))
    return partial(open_ablation, CHAIN, recipe=recipe, settings=[], data=halves, backbone_dir=backbone_dir,
                   protocol="base_to_novel", directory=tmp_path / "out")  # fmt: skip


def test_prompts_start_from_the_towers_of_another_run_and_vanilla_from_none(
    start_chain: Open, run: Callable[..., tuple[int, str]]
) -> None:
    ablation = start_chain()
    num_failed, said = run(ablation)
    assert num_failed == 0, said
    clip, prompted = (ablation.directory / name / "seed0" for name in ("vanilla", "prompting"))
    bridge = json.loads((prompted / "backbone" / "bridge.json").read_text(encoding="utf-8"))
    assert bridge["recipe"]["name"] == "tiny_vificlip"
    assert (clip / "evaluation" / "vanilla_base_to_novel.json").is_file()
    assert not (clip / "checkpoint").exists()
    assert [len(each.part_top1) for each in collect_results(ablation)] == [2, 2, 2]
    assert collect_results(ablation)[0].step_seconds is None
    assert "| fused top-1 | base | novel |" in (ablation.directory / "report.md").read_text(encoding="utf-8")
    assert run(start_chain())[1].count("was done before") == 3


def test_prompts_wait_for_the_towers_they_start_from(start_chain: Open, run: Callable[..., tuple[int, str]]) -> None:
    num_failed, said = run(start_chain(), only=("prompting",))
    assert num_failed == 1
    assert "prompting, seed 0 starts from the towers of full, whose run of this seed is not done; run that" in said


def test_closed_classes_are_counted_measured_and_found_done(start: Open, run: Callable[..., tuple[int, str]]) -> None:
    small = replace(find_table("tds_methods"), variants=find_table("tds_methods").variants[-2:])
    recipe = replace(RECIPE, model=SIDE_MODEL, fit=replace(RECIPE.fit, num_epochs=1))
    ablation = replace(start(), table=small, recipe=recipe)
    num_failed, said = run(ablation)
    assert num_failed == 0, said
    assert "(classes)" in said
    config = json.loads((ablation.directory / "tds_closed" / "seed0" / "config.json").read_text(encoding="utf-8"))
    assert config["model"]["adapters"]["num_classes"] == 3
    opened, closed = collect_results(ablation)
    assert [each.accuracy("English", measure="top1") is None for each in (opened, closed)] == [False, True]
    assert closed.accuracy("fused", measure="top1") is not None
    assert [each.runs[0].is_closed for each in (opened, closed)] == [False, True]
    assert run(ablation)[1].count("was done before") == 2


@pytest.mark.slow
def test_components_can_be_told_apart(start: Open, run: Callable[..., tuple[int, str]]) -> None:
    ablation = replace(start(), table=find_table("components"))
    num_failed, said = run(ablation)
    assert num_failed == 0, said
    baseline, tp, tp_beta, whole = collect_results(ablation)
    parameters = [each.runs[0].card["trainable_parameters"] for each in (baseline, tp, tp_beta, whole)]
    assert parameters[0] < parameters[1] < parameters[2] == parameters[3]
    assert [each.accuracy("Chinese", measure="top1") is None for each in (tp, whole)] == [True, False]
