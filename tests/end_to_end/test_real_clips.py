"""Every real clip beside the checkout gets a well-formed answer or a refusal that names the cause."""

import csv
from pathlib import Path
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.material

LABELS = '[{"en": "walking", "zh": "走路"}, {"en": "archery", "zh": "射箭"}]'
NUM_CLIPS = 54
# The manifest describes the smaller of its two video streams; players, and DuoAct, take the larger.
TWO_STREAMS = "edge/torchcodec_nasa_13013.mp4"


@pytest.fixture(scope="module")
def answers(demo: httpx.Client, real_videos: Path) -> list[tuple[dict[str, str], httpx.Response]]:
    with (real_videos / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [(row, ask(demo, real_videos / row["file"])) for row in rows]


def ask(client: httpx.Client, clip: Path) -> httpx.Response:
    with clip.open("rb") as file:
        return client.post("/recognize", files={"video": file}, data={"labels": LABELS})


def answered(
    answers: list[tuple[dict[str, str], httpx.Response]],
) -> list[tuple[dict[str, str], dict[str, Any]]]:
    return [(row, response.json()) for row, response in answers if response.status_code == 200]


def test_nothing_fails_on_our_side(demo: httpx.Client, answers: list[tuple[dict[str, str], httpx.Response]]) -> None:
    statuses = {row["file"]: response.status_code for row, response in answers}
    assert len(statuses) >= NUM_CLIPS
    assert set(statuses.values()) <= {200, 413, 415, 422}, statuses
    assert demo.get("/readyz").status_code == 200


def test_exactly_the_files_without_usable_pictures_are_refused(
    answers: list[tuple[dict[str, str], httpx.Response]],
) -> None:
    refused = {row["file"] for row, response in answers if response.status_code != 200}
    assert refused == {row["file"] for row, _ in answers if not row["frames_decoded"] or row["frames_decoded"] == "0"}


def test_every_refusal_names_its_cause(answers: list[tuple[dict[str, str], httpx.Response]]) -> None:
    for row, response in answers:
        if response.status_code != 200:
            assert len(response.json()["detail"]) > 20, row["file"]


def test_probabilities_are_well_formed(answers: list[tuple[dict[str, str], httpx.Response]]) -> None:
    for row, answer in answered(answers):
        assert sum(each["probability"] for each in answer["predictions"]) == pytest.approx(1, abs=1e-3), row["file"]


def test_rotated_clips_are_upright(answers: list[tuple[dict[str, str], httpx.Response]]) -> None:
    for row, answer in answered(answers):
        stored = (int(row["width"]), int(row["height"]))
        if row["sar"] in ("", "1") and row["file"] != TWO_STREAMS:
            upright = stored[::-1] if row["rotation"] in ("90", "-90") else stored
            assert (answer["video"]["width"], answer["video"]["height"]) == upright, row["file"]


def test_frame_counts_and_times_are_right(answers: list[tuple[dict[str, str], httpx.Response]]) -> None:
    for row, answer in answered(answers):
        # How many frames of a damaged file are usable depends on where one gives up.
        if row["file"] != TWO_STREAMS and not answer["degraded"]:
            assert answer["video"]["num_frames"] == int(row["frames_decoded"]), row["file"]
        times = [frame["time_seconds"] for frame in answer["frames"]]
        assert times == sorted(times)
        assert times[-1] <= answer["video"]["duration_seconds"]


def test_a_damaged_clip_is_answered_with_the_reason(
    answers: list[tuple[dict[str, str], httpx.Response]],
) -> None:
    damaged = next(answer for row, answer in answered(answers) if row["file"] == "edge/decord_corrupted.mp4")
    assert damaged["degraded"] is True
    assert damaged["warnings"]
