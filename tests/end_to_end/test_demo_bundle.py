"""The committed bundle behind the real service: right answers in both languages, clear refusals, honest timings."""

import json
from pathlib import Path
from typing import Any, Literal

import httpx
import pytest

from training.data.motion_shapes import ActionLabel, motion_shapes_labels

Answer = dict[str, Any]
ALL_LABELS = motion_shapes_labels()
# Of 30 clips; far below the measured accuracy, far above the chance of 1 in 96.
MIN_RIGHT = 0.75


def ask(client: httpx.Client, clip: Path, labels: object, **fields: str) -> httpx.Response:
    with clip.open("rb") as file:
        return client.post("/recognize", files={"video": file}, data={"labels": json.dumps(labels), **fields})


def render_labels(languages: Literal["en", "zh", "both"]) -> list[object]:
    if languages == "both":
        return [{"en": label.en, "zh": label.zh} for label in ALL_LABELS]
    return [{languages: getattr(label, languages)} for label in ALL_LABELS]


@pytest.mark.parametrize(
    ("languages", "weight"), [("both", "0.5"), ("both", "1"), ("both", "0"), ("en", "1"), ("both", "0.25")]
)
def test_new_clips_are_recognised(
    demo: httpx.Client,
    trained_clips: list[tuple[ActionLabel, Path]],
    languages: Literal["en", "zh", "both"],
    weight: str,
) -> None:
    answers = [
        (label, ask(demo, clip, render_labels(languages), **{"lambda": weight}).json()) for label, clip in trained_clips
    ]
    right = sum(answer["predictions"][0]["label"]["en"] == label.en for label, answer in answers)
    assert right / len(answers) >= MIN_RIGHT


def test_plain_labels_of_either_language_find_their_counterpart(
    demo: httpx.Client, clear_clip: tuple[ActionLabel, Path]
) -> None:
    label, clip = clear_clip
    english = ask(demo, clip, [each.en for each in ALL_LABELS]).json()
    chinese = ask(demo, clip, [each.zh for each in ALL_LABELS]).json()
    assert english["predictions"] == chinese["predictions"]
    assert english["fusion"]["languages"] == ["en", "zh"]
    assert english["predictions"][0]["label"] == {"en": label.en, "zh": label.zh}


def test_chinese_without_counterparts_is_scored_alone_and_says_so(
    demo: httpx.Client, clear_clip: tuple[ActionLabel, Path]
) -> None:
    answer = ask(demo, clear_clip[1], ["一个圆形向左走", "一个圆形变得很大"]).json()
    assert answer["fusion"]["languages"] == ["zh"]
    assert "frames are averaged" in " ".join(answer["warnings"])


def test_stages_explain_the_total(demo: httpx.Client, long_clip: Path) -> None:
    labels = [label.en for label in ALL_LABELS]
    ask(demo, long_clip, labels)
    timings = ask(demo, long_clip, labels, views="4x3").json()["timings_ms"]
    total = timings.pop("total")
    assert sum(timings.values()) == pytest.approx(total, rel=0.05)


def test_probabilities_and_weights_sum_to_one(demo: httpx.Client, long_clip: Path) -> None:
    answer = ask(demo, long_clip, ["circle moving left", "circle moving right"], views="4x3").json()
    assert sum(row["probability"] for row in answer["predictions"]) == pytest.approx(1, abs=1e-4)
    assert sum(row["weight"] for row in answer["frames"]) == pytest.approx(1, abs=1e-4)


def test_the_same_video_is_encoded_once(demo: httpx.Client, long_clip: Path) -> None:
    first = ask(demo, long_clip, ["circle growing"]).json()
    second = ask(demo, long_clip, ["circle growing", "circle shrinking"]).json()
    assert second["cache"]["video"] == "hit"
    assert first["video"]["video_id"] == second["video"]["video_id"]


LABELS = '["circle growing", "circle shrinking"]'


@pytest.mark.parametrize(
    ("fields", "status", "detail"),
    [
        ({}, 400, "labels"),
        ({"labels": "[]"}, 422, "empty"),
        ({"labels": '["a", "A"]'}, 422, "given twice"),
        ({"labels": json.dumps([f"label {i}" for i in range(10_001)])}, 422, "10001 labels"),
        ({"labels": json.dumps(["x" * 2000])}, 422, "2000 characters"),
        ({"labels": '{"actions": []}'}, 400, "unknown keys ['actions']"),
        ({"labels": "[1, 2]"}, 400, "string"),
        ({"labels": LABELS, "top_k": "0"}, 422, "top_k"),
        ({"labels": LABELS, "lambda": "1.5"}, 422, "lambda"),
        ({"labels": LABELS, "lambda": "nan"}, 422, "lambda"),
        ({"labels": LABELS, "lambda": "much"}, 400, "lambda"),
        ({"labels": LABELS, "views": "0x3"}, 422, "views"),
        ({"labels": LABELS, "template": "no place"}, 422, "{}"),
        ({"label_set": "nowhere"}, 404, "nowhere"),
        ({"labels": LABELS, "label_set": "motion_shapes"}, 400, "label_set"),
        ({"labels": LABELS, "colour": "red"}, 400, "colour"),
    ],
)
def test_bad_fields_are_named(
    demo: httpx.Client, long_clip: Path, fields: dict[str, str], status: int, detail: str
) -> None:
    with long_clip.open("rb") as file:
        response = demo.post("/recognize", files={"video": file}, data=fields)
    assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json")
    assert detail in response.json()["detail"]


def test_labels_that_are_not_utf8_are_refused(demo: httpx.Client, long_clip: Path) -> None:
    response = demo.post("/recognize", files={"video": long_clip.read_bytes(), "labels": (None, b'["\xff\xfe"]')})
    assert response.status_code == 400
    assert "UTF-8" in response.json()["detail"]


@pytest.mark.parametrize(
    ("content", "status", "detail"),
    [
        (b"", 415, "empty"),
        (b"this is a diary, not a video\n" * 100, 415, "not a readable video"),
        (b"<!doctype html><title>x</title>", 415, "not a readable video"),
    ],
)
def test_files_that_are_no_video_are_refused(demo: httpx.Client, content: bytes, status: int, detail: str) -> None:
    response = demo.post("/recognize", files={"video": ("clip.mp4", content)}, data={"labels": LABELS})
    assert response.status_code == status
    assert detail in response.json()["detail"]


def test_a_request_without_video_is_refused(demo: httpx.Client) -> None:
    response = demo.post("/recognize", data={"labels": LABELS})
    assert response.status_code == 400
    assert "video" in response.json()["detail"]
