"""Side networks in miniature, with a closed and with an open vocabulary: HTTP says what the evaluator reported."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from tests.end_to_end.server import run_server
from tests.end_to_end.test_command import run
from tests.end_to_end.test_methods import OPEN, SETTINGS, ignore, read_rankings, write_clips
from tests.training.side import side_config
from tests.training.tiny import RECIPE, write_tiny_backbone
from tests.videos import write_numbered_video
from training.commands.menu import app
from training.config.model import ModelConfig, Recipe
from training.data.annotations import VideoData, read_video_data
from training.evaluation.evaluate import Settings, evaluate
from training.fitting.fit import FitResources, fit
from training.runs.run import open_run

pytestmark = pytest.mark.slow
CLOSED, FUSED = "closed", "fused"
MODELS: dict[str, ModelConfig] = {
    CLOSED: side_config(head="linear"),
    # An open vocabulary, whose scores are averaged with those of the frozen tower.
    FUSED: side_config(num_local_frames=3, fuse_frozen=True),
}
# Fewer frames than the model takes, and than a window has.
SHORT = {"still.mp4": 1, "short.mp4": 3}


@dataclass(frozen=True)
class Served:
    """A running service, and what the evaluator said of the run behind it."""

    name: str
    client: httpx.Client
    bundle: Path
    run_dir: Path
    data: VideoData


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("side_networks")
    write_tiny_backbone(folder / "backbone")
    clips = write_clips(folder / "clips")
    for name, num_frames in SHORT.items():
        write_numbered_video(clips / name, num_frames=num_frames)
    with (clips / "annotations.csv").open("a", encoding="utf-8") as file:
        file.writelines(f"{name},0,test\n" for name in SHORT)
    return folder


@pytest.fixture(scope="module", params=MODELS, ids=str)
def served(folder: Path, request: pytest.FixtureRequest) -> Iterator[Served]:
    name: str = request.param
    data, run_dir, bundle = read_video_data(folder / "clips"), folder / "runs" / name, folder / "bundles" / name
    fit(
        short_recipe(MODELS[name]),
        data=data,
        resources=FitResources(run_dir=run_dir, cache_dir=folder / "frames", num_workers=1),
        backbone_dir=folder / "backbone",
        resume=False,
        begin=lambda _: ignore,
    )
    evaluate(open_run(run_dir), data=data, protocol=OPEN, settings=Settings(num_workers=1))
    call("export", str(run_dir), "--out", str(bundle))
    with run_server(bundle, log=folder / f"{name}.log", settings=SETTINGS) as client:
        yield Served(name, client, bundle, run_dir, data)


def short_recipe(model: ModelConfig) -> Recipe:
    return replace(RECIPE, model=model, fit=replace(RECIPE.fit, num_epochs=2, learning_rate=1e-2))


def call(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    return result.output


def ask(served: Served, video: str, **fields: str) -> httpx.Response:
    """Ask for all labels that the evaluator ranked: a closed vocabulary needs none to be named."""
    if served.name != CLOSED and not {"labels", "label_set"} & set(fields):
        fields["label_set"] = served.data.name
    with (served.data.directory / video).open("rb") as file:
        return served.client.post("/recognize", files={"video": file}, data={"top_k": "10", **fields})


def assert_same(answer: dict[str, Any], expected: dict[str, Any]) -> None:
    for found, wanted in zip(answer["predictions"], expected["predictions"], strict=True):
        assert (found["rank"], found["label"]) == (wanted["rank"], wanted["label"])
        for key in ("score", "probability", "similarity_en"):
            assert found[key] == pytest.approx(wanted[key], abs=1e-3)


def test_http_answers_as_the_evaluator_did(served: Served) -> None:
    rankings = read_rankings(served.run_dir, protocol=OPEN)
    assert len(rankings) == 6 + len(SHORT)
    for expected in rankings:
        assert_same(ask(served, expected["video"]).json(), expected)


def test_views_are_averaged_as_the_evaluator_did(served: Served) -> None:
    settings = Settings(num_workers=1, plan=Settings().plan.parse("2x3"))
    evaluate(open_run(served.run_dir), data=served.data, protocol=replace(OPEN, name="six_views"), settings=settings)
    for expected in read_rankings(served.run_dir, protocol=replace(OPEN, name="six_views"))[:2]:
        assert_same(ask(served, expected["video"], views="2x3").json(), expected)


def test_bundle_says_what_it_knows(served: Served) -> None:
    manifest = served.client.get("/bundle").json()
    num_local_frames = 5 if served.name == CLOSED else 3
    assert manifest["sampling"]["num_local_frames"] == num_local_frames
    classes = [{"en": each.en, "zh": each.zh} for each in served.data.labels]
    expected = ("closed", classes, []) if served.name == CLOSED else ("open", [], [served.data.name])
    assert (manifest["vocabulary"], manifest["classes"], manifest["label_sets"]) == expected


def test_bundle_is_verified_against_its_run(served: Served) -> None:
    table = call("verify", str(served.bundle), "--run", str(served.run_dir))
    assert "differs" not in table
    rows = [line.split() for line in table.splitlines()]
    assert {("torch",), ("ONNX", "Runtime"), ("OpenVINO", "f32")} <= {tuple(row[:n]) for row in rows for n in (1, 2)}


@pytest.mark.parametrize("served", [CLOSED], indirect=True)
@pytest.mark.parametrize(
    ("fields", "detail"),
    [
        (
            {"labels": '["circle moving lift"]'},
            "closed, with 6 classes, and these are none of them: 'circle moving lift' (nearest: 'circle moving left'",
        ),
        ({"lambda": "0.5"}, "lambda is 0.5, but the vocabulary of this bundle is closed"),
    ],
)
def test_what_a_classifier_cannot_answer_is_refused(served: Served, fields: dict[str, str], detail: str) -> None:
    refused = ask(served, "2.mp4", **fields)
    assert refused.status_code == 422
    assert detail in refused.json()["detail"]


@pytest.mark.parametrize("served", [CLOSED], indirect=True)
def test_classes_are_asked_for_by_name_in_either_language(served: Served) -> None:
    first, second = served.data.labels[:2]
    answer = ask(served, "2.mp4", labels=json.dumps([first.en, second.zh])).json()
    everything = {each["label"]["en"]: each for each in ask(served, "2.mp4").json()["predictions"]}
    assert {each["label"]["en"] for each in answer["predictions"]} == {first.en, second.en}
    for each in answer["predictions"]:
        assert each["probability"] == pytest.approx(everything[each["label"]["en"]]["probability"])


@pytest.mark.parametrize("served", [FUSED], indirect=True)
def test_any_label_is_scored_by_an_open_vocabulary(served: Served) -> None:
    answer = ask(served, "2.mp4", labels='["playing the violin", "unheard of"]').json()
    assert sum(each["probability"] for each in answer["predictions"]) == pytest.approx(1)


@pytest.mark.parametrize("served", [CLOSED], indirect=True)
def test_command_answers_as_the_service_does(served: Served) -> None:
    video = str(served.data.directory / "2.mp4")
    result = run("recognize", video, "--bundle", str(served.bundle), "--json")
    assert result.returncode == 0, result.stderr
    answer = ask(served, "2.mp4", top_k="5").json()
    for found, wanted in zip(json.loads(result.stdout)["predictions"], answer["predictions"], strict=True):
        assert found["label"] == wanted["label"]
        # The command runs in the CPU's own precision.
        assert found["probability"] == pytest.approx(wanted["probability"], abs=1e-2)
