"""The whole way in miniature: render, pre-train, fit, evaluate, export, serve; HTTP ranks as the protocol did."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.end_to_end.server import ROOT, run_server

pytestmark = pytest.mark.slow
NUM_ASKED = 12


def build(folder: Path, *extra: str) -> str:
    command = [sys.executable, "-m", "training", "demo", "--miniature", "--out", str(folder / "bundle"),
               "--work", str(folder / "work"), *extra]  # fmt: skip
    # One thread: the models are too small to share, and other tests run beside this one.
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=280)
    return result.stdout + result.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("miniature")
    output = build(folder)
    assert (folder / "bundle" / "bundle.json").is_file(), output
    return folder


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[httpx.Client]:
    settings = {"DUOACT_ENCODER_PRECISION": "f32"}
    with run_server(folder / "bundle", log=folder / "log", settings=settings) as client:
        yield client


@pytest.mark.parametrize("protocol", ["open_vocabulary", "novel_compositions"])
def test_http_ranks_as_the_protocol_did(client: httpx.Client, folder: Path, protocol: str) -> None:
    run = folder / "work" / "run"
    lines = (run / "evaluation" / f"{protocol}.rankings.jsonl").read_text(encoding="utf-8").splitlines()
    weight = json.loads((run / "evaluation" / f"{protocol}.json").read_text(encoding="utf-8"))["fusion"]["value"]
    for expected in map(json.loads, lines[:NUM_ASKED]):
        with (folder / "work" / "data" / expected["video"]).open("rb") as file:
            fields = {"label_set": "motion_shapes", "top_k": "10", "lambda": str(weight)}
            answer = client.post("/recognize", files={"video": file}, data=fields).json()
        for found, wanted in zip(answer["predictions"], expected["predictions"], strict=True):
            assert (found["rank"], found["label"]) == (wanted["rank"], wanted["label"])
            for key in ("score", "probability", "similarity_en", "similarity_zh"):
                assert found[key] == pytest.approx(wanted[key], abs=1e-3)


def test_finished_stages_are_not_run_again(folder: Path) -> None:
    work = folder / "work"
    kept = [*(work / "data").rglob("*.mp4"), *(work / "backbone").iterdir(), *(work / "run" / "checkpoint").rglob("*"),
            *(folder / "bundle").rglob("*")]  # fmt: skip
    before = {path: path.stat().st_mtime_ns for path in kept}
    build(folder)
    assert {path: path.stat().st_mtime_ns for path in kept} == before


def test_work_folder_of_another_seed_is_refused(folder: Path) -> None:
    assert "belongs to a demo of another seed or size; choose another folder with --work" in build(
        folder, "--seed", "1"
    )
