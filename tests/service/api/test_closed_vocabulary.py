"""POST /recognize of a bundle that knows its own classes alone: all of them, some of them, and labels outside them."""

import json
from typing import Any

import httpx
import numpy as np
import pytest

from tests.bundles import CLASSIFIER
from tests.conftest import RunService, Service
from tests.encoders import FakeEngine, FakeVideoEncoder

VIDEO = {"video": ("clip.mp4", b"pixels", "video/mp4")}
LOGITS = np.log(np.array([[1, 4, 5], [6, 2, 2]], dtype=np.float32))
LEFT, RIGHT, GROWING = CLASSIFIER["classes"]


def build_engine() -> FakeEngine:
    return FakeEngine(FakeVideoEncoder(logits=LOGITS), chinese=None)


async def ask(service: Service, **fields: str) -> httpx.Response:
    return await service.client.post("/recognize", files=VIDEO, data=fields)


async def answer_of(service: Service, **fields: str) -> dict[str, Any]:
    response = await ask(service, **fields)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def test_no_labels_means_all_classes(run_service: RunService) -> None:
    engine = build_engine()
    async with run_service(engine, manifest=CLASSIFIER) as service:
        answer = await answer_of(service)
    expected = [(1, GROWING, 0.5, np.log(5)), (2, RIGHT, 0.4, np.log(4)), (3, LEFT, 0.1, 0.0)]
    assert answer["predictions"] == [
        {"rank": rank, "label": label, "probability": pytest.approx(probability), "score": pytest.approx(score),
         "similarity_en": None, "similarity_zh": None}
        for rank, label, probability, score in expected
    ]  # fmt: skip
    assert (answer["fusion"], answer["warnings"]) == (None, [])
    assert answer["cache"] == {"video": "miss", "labels": {"hits": 0, "misses": 0}}
    assert engine.video.shapes == [(1, 4, 5, 8, 8, 3)]
    assert engine.english.batches == []


async def test_probabilities_are_averaged_over_views_and_frames_weigh_the_same(run_service: RunService) -> None:
    async with run_service(build_engine(), manifest=CLASSIFIER) as service:
        answer = await answer_of(service, views="2x1", explain="true")
    assert [each["probability"] for each in answer["predictions"]] == pytest.approx([0.35, 0.35, 0.3])
    assert [frame["index"] for frame in answer["frames"]] == [3, 13, 23, 32, 6, 16, 26, 35]
    assert [frame["weight"] for frame in answer["frames"]] == [0.125] * 8
    assert all(frame["thumbnail"].startswith("data:image/jpeg;base64,") for frame in answer["frames"])


async def test_asked_classes_keep_their_probabilities_among_all(run_service: RunService) -> None:
    async with run_service(build_engine(), manifest=CLASSIFIER) as service:
        answer = await answer_of(service, labels=json.dumps(["MOVING left", "变大"]))
    assert [each["label"] for each in answer["predictions"]] == [GROWING, LEFT]
    assert [each["probability"] for each in answer["predictions"]] == pytest.approx([0.5, 0.1])
    assert answer["warnings"] == ["probabilities are among all 3 classes of this bundle, of which 2 are asked for"]


async def test_second_question_needs_no_second_encoding(run_service: RunService) -> None:
    engine = build_engine()
    async with run_service(engine, manifest=CLASSIFIER) as service:
        await answer_of(service)
        answer = await answer_of(service, labels="growing", top_k="1")
    assert (answer["cache"]["video"], engine.video.num_calls) == ("hit", 1)


@pytest.mark.parametrize(
    ("fields", "kind", "detail"),
    [
        (
            {"labels": '["growing", "moving lift"]'},
            "labels",
            "the vocabulary of this bundle is closed, with 3 classes, and these are none of them: 'moving lift' "
            "(nearest: 'moving left', 'moving right', 'growing'); give names of its classes, or no labels at all for "
            "every class",
        ),
        (
            {"labels": '["growing", "变大"]'},
            "labels",
            "labels 1 and 2 both name the class 'growing / 变大'; remove one",
        ),
        (
            {"lambda": "0.5"},
            "impossible-request",
            "lambda is 0.5, but the vocabulary of this bundle is closed: its classes are not compared with text; "
            "leave lambda out",
        ),
        (
            {"template": "a {}"},
            "impossible-request",
            "template is 'a {}', but the vocabulary of this bundle is closed: its classes are not compared with text; "
            "leave template out",
        ),
        (
            {"views": "9x9"},
            "impossible-request",
            "views is 9x9; allowed are 1 to 10 clips and 1 or 3 crops, written like 1x1 or 4x3",
        ),
    ],
)
async def test_what_a_classifier_cannot_answer_is_refused_before_it_costs_anything(
    run_service: RunService, fields: dict[str, str], kind: str, detail: str
) -> None:
    engine = build_engine()
    async with run_service(engine, manifest=CLASSIFIER) as service:
        response = await ask(service, **fields)
    problem = response.json()
    assert (response.status_code, problem["type"]) == (422, f"urn:duoact:problem:{kind}")
    assert problem["detail"] == detail
    assert engine.reader.names == []


@pytest.mark.parametrize("num_logits", [2, 4])
async def test_logits_of_another_number_of_classes_are_refused(run_service: RunService, num_logits: int) -> None:
    engine = FakeEngine(FakeVideoEncoder(logits=np.zeros((1, num_logits), dtype=np.float32)), chinese=None)
    async with run_service(engine, manifest=CLASSIFIER) as service:
        responses = [await ask(service) for _ in range(2)]
    problem = responses[0].json()
    assert (problem["status"], problem["type"]) == (503, "urn:duoact:problem:encoder-unavailable")
    assert problem["detail"] == (
        f"the encoder answers each view with (1, {num_logits}), but the bundle has (1, 3) rows and classes; check the "
        "model that it runs"
    )
    # What was refused is not kept.
    assert (responses[1].status_code, engine.video.num_calls) == (503, 2)


async def test_features_of_another_number_than_the_bundles_are_refused(run_service: RunService) -> None:
    async with run_service(FakeEngine(FakeVideoEncoder(pools=True))) as service:
        response = await ask(service, labels='["moving left"]')
    assert response.status_code == 503
    assert "with (1, 16), but the bundle has (4, 16) features and dimensions" in response.json()["detail"]


async def test_bundle_says_that_its_vocabulary_is_closed(run_service: RunService) -> None:
    async with run_service(build_engine(), manifest=CLASSIFIER) as service:
        manifest = (await service.client.get("/bundle")).json()
    assert (manifest["vocabulary"], manifest["classes"]) == ("closed", [LEFT, RIGHT, GROWING])
    assert manifest["sampling"] == {"rule": "rounded_segments", "num_frames": 4, "num_local_frames": 5}


async def test_windows_reach_the_encoder_of_an_open_vocabulary_too(run_service: RunService) -> None:
    sampling = {"rule": "segment_centres", "num_frames": 4, "num_local_frames": 3}
    engine = FakeEngine()
    async with run_service(engine, manifest={"sampling": sampling}) as service:
        answer = await answer_of(service, labels='["moving left", "growing"]', views="2x3")
    assert engine.video.shapes == [(6, 4, 3, 8, 8, 3)]
    assert [frame["index"] for frame in answer["frames"]] == [0, 10, 20, 30, 9, 19, 29, 39]
