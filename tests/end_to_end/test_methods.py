"""Fine-tuned, prompted and untouched CLIP in miniature: fitted, evaluated, exported, served; HTTP says the same."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tests.end_to_end.server import run_server
from tests.end_to_end.test_command import run
from tests.training.fine_tuned import FINE_TUNED, FINE_TUNING, fine_tuned, prompted
from tests.training.tiny import write_tiny_backbone
from training.config.adapters import FineTuningConfig
from training.config.model import ModelConfig, Recipe
from training.data.annotations import VideoData, read_video_data
from training.data.motion_shapes import VideoFormat, draw_scene, motion_shapes_labels, render_video
from training.evaluation.evaluate import Settings, evaluate, load_protocol_model
from training.evaluation.protocols import PROTOCOLS, Protocol
from training.export.bundle import export_bundle
from training.export.provenance import choose_fusion, describe_provenance
from training.fitting.fit import FitResources, fit
from training.models.video_clip import VideoCLIP
from training.runs.run import EVALUATION_NAME, open_run

pytestmark = pytest.mark.slow
# The first run, which is prompted and whose frozen CLIP is served too.
FULL = "full"
METHODS: dict[str, ModelConfig] = {
    FULL: FINE_TUNED,
    "text": fine_tuned(mode="text"),
    "decision fusion": fine_tuned(fusion="decision"),
    "image fusion": fine_tuned(fusion="image"),
    "prompting": prompted(allow_unbridged=False),
}
VANILLA = "vanilla"
OPEN = PROTOCOLS["open_vocabulary"]
# Where the tiny backbone's logit scale stands, which is where CLIP's training begins.
CLIP_TAU = 0.07
SETTINGS = {"DUOACT_ENCODER_PRECISION": "f32", "DUOACT_DRAIN_DELAY_SECONDS": "0", "OMP_NUM_THREADS": "1"}


@dataclass(frozen=True)
class World:
    """What all runs share."""

    folder: Path
    data: VideoData
    backbone: Path

    def fit(self, name: str) -> Path:
        """Fit a method for a few steps, once; prompts start from the fine-tuned towers of the first run."""
        run_dir = self.folder / "runs" / name
        if not run_dir.exists():
            model = METHODS[name]
            backbone = self.fit(FULL) if model.method == "vl_prompting" else self.backbone
            resources = FitResources(run_dir=run_dir, cache_dir=self.folder / "frames", num_workers=1)
            recipe = short_recipe(model)
            fit(
                recipe, data=self.data, resources=resources, backbone_dir=backbone, resume=False, begin=lambda _: ignore
            )
        return run_dir


@dataclass(frozen=True)
class Served:
    """A running service, and what the evaluator said of the model behind it."""

    client: httpx.Client
    bundle: Path
    model: VideoCLIP
    rankings: list[dict[str, Any]]
    data: VideoData


def ignore(_: object) -> None:
    """Watch no step."""


def short_recipe(model: ModelConfig) -> Recipe:
    return replace(FINE_TUNING, model=model, fit=replace(FINE_TUNING.fit, num_epochs=2, learning_rate=1e-2))


def write_clips(folder: Path) -> Path:
    """Write two clips to train on and one to test on of each of six actions."""
    folder.mkdir()
    labels = motion_shapes_labels()[:6]
    rows = []
    for number, (label, split) in enumerate((label, split) for label in labels for split in ("train", "train", "test")):
        scene = draw_scene(label, rng=np.random.default_rng(number))
        render_video(scene, path=folder / f"{number}.mp4", video_format=VideoFormat(width=48, height=40, num_frames=9))
        rows.append(f"{number}.mp4,{label.label_id},{split}")
    texts = [f"{label.label_id},{label.en},{label.zh}" for label in labels]
    (folder / "labels.csv").write_text("\n".join(["id,en,zh", *texts]) + "\n", encoding="utf-8")
    (folder / "annotations.csv").write_text("\n".join(["video,label_id,split", *rows]) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("methods")
    return World(folder, read_video_data(write_clips(folder / "clips")), write_tiny_backbone(folder / "backbone"))


@pytest.fixture(scope="module", params=[*METHODS, VANILLA])
def served(world: World, request: pytest.FixtureRequest) -> Iterator[Served]:
    name: str = request.param
    protocol = OPEN.for_model("vanilla") if name == VANILLA else OPEN
    run_dir = world.fit(FULL if name == VANILLA else name)
    evaluate(open_run(run_dir), data=world.data, protocol=protocol, settings=Settings(num_workers=1))
    model = load_protocol_model(open_run(run_dir), protocol=protocol).cpu()
    bundle = export(model, run_dir, world.folder / "bundles" / name.replace(" ", "_"), data=world.data)
    with run_server(bundle, log=world.folder / f"{name}.log", settings=SETTINGS) as client:
        yield Served(client, bundle, model, read_rankings(run_dir, protocol=protocol), world.data)


def export(model: VideoCLIP, run_dir: Path, out: Path, *, data: VideoData) -> Path:
    return export_bundle(
        model,
        out,
        name=out.name,
        label_sets={data.name: data.labels},
        fusion=choose_fusion(open_run(run_dir), has_chinese=model.chinese is not None),
        provenance=describe_provenance(open_run(run_dir)),
    )


def read_rankings(run_dir: Path, *, protocol: Protocol) -> list[dict[str, Any]]:
    path = run_dir / EVALUATION_NAME / f"{protocol.name}.rankings.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def ask(served: Served, video: str, **fields: str) -> httpx.Response:
    with (served.data.directory / video).open("rb") as file:
        return served.client.post("/recognize", files={"video": file}, data={"top_k": "10", **fields})


def test_http_answers_as_the_evaluator_did(served: Served) -> None:
    assert len(served.rankings) == 6
    for expected in served.rankings:
        answer = ask(served, expected["video"], label_set=served.data.name).json()
        for found, wanted in zip(answer["predictions"], expected["predictions"], strict=True):
            assert (found["rank"], found["label"]) == (wanted["rank"], wanted["label"])
            for key in ("score", "probability", "similarity_en"):
                assert found[key] == pytest.approx(wanted[key], abs=1e-3)


def test_answers_differ_between_videos(served: Served) -> None:
    best = [ranking["predictions"][0]["score"] for ranking in served.rankings]
    assert len(set(best)) == len(best)


def test_bundle_says_what_it_is(served: Served) -> None:
    manifest, config = served.client.get("/bundle").json(), served.model.config
    assert manifest["method"] == config.method
    assert manifest["num_frame_features"] == config.num_frame_features
    assert manifest["scoring"]["tau"] == config.scoring.tau
    assert (manifest["chinese"], manifest["scoring"]["fusion"]["value"]) == (None, 1.0)


def test_temperature_is_learned_with_both_towers_and_inherited_by_prompts(served: Served) -> None:
    tau = served.client.get("/bundle").json()["scoring"]["tau"]
    adapters = served.model.config.adapters
    is_frozen = isinstance(adapters, FineTuningConfig) and adapters.mode != "full"
    assert (tau == pytest.approx(CLIP_TAU, rel=1e-4)) is is_frozen


def test_frames_are_averaged(served: Served) -> None:
    answer = ask(served, "2.mp4", label_set=served.data.name, views="1x3").json()
    assert [frame["weight"] for frame in answer["frames"]] == pytest.approx([0.25] * 4)
    assert answer["fusion"]["languages"] == ["en"]
    assert answer["warnings"] == []


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"labels": '["running"]', "lambda": "0.5"}, "lambda is 0.5, but this bundle has no trained Chinese branch"),
        ({"labels": '["飞碟"]'}, "no English text for '飞碟'; this bundle has no trained Chinese branch"),
    ],
)
def test_chinese_is_refused(served: Served, fields: dict[str, str], reason: str) -> None:
    refused = ask(served, "2.mp4", **fields)
    assert refused.status_code == 422
    assert reason in refused.json()["detail"]


@pytest.mark.parametrize("served", ["prompting"], indirect=True)
def test_prompted_bundle_names_the_run_behind_its_towers(served: Served) -> None:
    data = served.client.get("/bundle").json()["provenance"]["training_data"]
    bridge = data.pop("bridge")
    assert bridge == {"recipe": FINE_TUNING.name, **data}


@pytest.mark.parametrize("served", ["prompting"], indirect=True)
def test_command_answers_as_the_service_does(served: Served) -> None:
    video = str(served.data.directory / "2.mp4")
    result = run("recognize", video, "--bundle", str(served.bundle), "--label-set", served.data.name, "--json")
    assert result.returncode == 0, result.stderr
    answer = ask(served, "2.mp4", label_set=served.data.name, top_k="5").json()
    for found, wanted in zip(json.loads(result.stdout)["predictions"], answer["predictions"], strict=True):
        assert found["label"] == wanted["label"]
        # The command runs in the CPU's own precision.
        assert found["score"] == pytest.approx(wanted["score"], abs=1e-2)
