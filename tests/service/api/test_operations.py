"""The service about itself: health, readiness, metrics, bundle, label sets, keys."""

import asyncio
import json

import pytest

from service.contract.errors import EncoderUnavailableError
from service.contract.labels import load_builtin_label_sets
from tests.bundles import manifest_fields
from tests.conftest import RunService, Service
from tests.encoders import FakeEngine


async def test_service_lives_and_is_ready(service: Service) -> None:
    assert (await service.client.get("/healthz")).json() == {"status": "ok", "missing": []}
    ready = await service.client.get("/readyz")
    assert (ready.status_code, ready.json()) == (200, {"status": "ok", "missing": []})


async def test_readiness_says_what_is_missing(run_service: RunService) -> None:
    async with run_service(FakeEngine(check_error=EncoderUnavailableError("wrong"))) as service:
        service.engine.reader.alive = False
        await service.app.state.gateway.readiness.replay()
        service.app.state.gateway.readiness.draining = True
        response = await service.client.get("/readyz")
    missing = ["encoder: wrong", "decoding: no worker takes videos", "shutting down"]
    assert (response.status_code, response.json()) == (503, {"status": "not ready", "missing": missing})


async def test_canary_that_recovers_makes_the_service_ready_again(run_service: RunService) -> None:
    engine = FakeEngine(check_error=EncoderUnavailableError("wrong"))
    async with run_service(engine, canary_period_seconds=0.02) as service:
        engine.check_error = None
        await asyncio.sleep(0.1)
        assert (await service.client.get("/readyz")).status_code == 200
        engine.check_error = EncoderUnavailableError("wrong again")
        await asyncio.sleep(0.1)
        assert (await service.client.get("/readyz")).json()["missing"] == ["encoder: wrong again"]
    assert engine.is_closed


async def test_what_the_caches_hold_is_answered_while_the_encoder_is_away(run_service: RunService) -> None:
    files, data = {"video": ("a", b"pixels")}, {"labels": json.dumps(["moving left"])}
    async with run_service() as service:
        known = await service.client.post("/recognize", files=files, data=data)
        service.engine.check_error = EncoderUnavailableError("away")
        await service.app.state.gateway.readiness.replay()
        again = await service.client.post("/recognize", files=files, data=data)
        other_video = await service.client.post("/recognize", files={"video": ("a", b"others")}, data=data)
        other_label = await service.client.post("/recognize", files=files, data={"labels": '["never asked"]'})
        num_decoded = len(service.engine.reader.names)
        assert (await service.client.get("/readyz")).json()["missing"] == ["encoder: away"]
    assert (known.status_code, again.status_code) == (200, 200)
    assert again.json()["predictions"] == known.json()["predictions"]
    for refused in (other_video, other_label):
        assert (refused.status_code, refused.json()["type"]) == (503, "urn:duoact:problem:encoder-unavailable")
        assert refused.json()["detail"] == "encoder: away; try again later"
    assert num_decoded == 1, "a video is not decoded for an encoder that is away"


async def test_decoding_that_comes_back_makes_the_service_ready_again(run_service: RunService) -> None:
    async with run_service(canary_period_seconds=0.02) as service:
        service.engine.reader.alive = False
        await asyncio.sleep(0.1)
        ready = await service.client.get("/readyz")
        assert (ready.status_code, ready.json()["missing"]) == (503, ["decoding: no worker takes videos"])
        service.engine.reader.alive = True
        await asyncio.sleep(0.1)
        assert (await service.client.get("/readyz")).status_code == 200


async def test_service_that_watches_itself_no_longer_is_dead(run_service: RunService) -> None:
    async with run_service(canary_period_seconds=0.02) as service:
        await service.app.state.gateway.readiness.close()
        response = await service.client.get("/healthz")
    dead = {"status": "dead", "missing": ["the watcher of readiness has ended"]}
    assert (response.status_code, response.json()) == (503, dead)


async def test_metrics_count_stages_caches_errors_and_workers_that_ended(service: Service) -> None:
    service.engine.reader.deaths["crashed"] = 3
    files = {"video": ("a", b"pixels")}
    await service.client.post("/recognize", files=files, data={"labels": json.dumps(["moving left"])})
    await service.client.post("/recognize", files=files, data={"labels": "[]"})
    text = (await service.client.get("/metrics")).text
    for line in (
        'duoact_request_duration_seconds_count{route="/recognize",status="200"} 1.0',
        'duoact_stage_duration_seconds_count{stage="encode"} 1.0',
        'duoact_video_cache_lookups_total{result="miss"} 1.0',
        'duoact_label_cache_lookups_total{result="hit"} 2.0',
        'duoact_errors_total{type="labels"} 1.0',
        'duoact_decoding_workers_ended_total{result="crashed"} 3.0',
        "duoact_requests_working 0.0",
        "duoact_requests_waiting 0.0",
        "duoact_ready 1.0",
    ):
        assert line in text


async def test_bundle_is_the_manifest_as_served(service: Service) -> None:
    response = await service.client.get("/bundle")
    manifest = service.parts.answering.bundle.manifest
    assert response.json() == manifest.to_json()
    assert response.json()["preprocessing"]["mean"] == list(manifest_fields()["preprocessing"]["mean"])
    assert response.headers["etag"] == f'"{service.parts.answering.bundle.digest}"'


async def test_label_sets_are_listed_and_shown(service: Service) -> None:
    listed = (await service.client.get("/label-sets")).json()["label_sets"]
    outline = {"name": "shapes", "num_labels": 3, "languages": ["en"], "source": "bundle"}
    assert listed[0] == outline
    assert [row["name"] for row in listed[1:]] == sorted(load_builtin_label_sets())
    shown = (await service.client.get("/label-sets/shapes")).json()
    labels = [
        {"en": "moving left", "zh": "向左移动"},
        {"en": "moving right", "zh": "向右移动"},
        {"en": "growing", "zh": None},
    ]
    assert shown == {**outline, "labels": labels}


async def test_unknown_label_set_is_a_404_that_lists_the_others(service: Service) -> None:
    response = await service.client.get("/label-sets/nope")
    assert response.status_code == 404
    assert "shapes" in response.json()["detail"]


@pytest.mark.parametrize(
    ("path", "is_open"),
    [
        ("/healthz", True),
        ("/readyz", True),
        ("/", True),
        ("/bundle", False),
        ("/metrics", False),
        ("/label-sets", False),
    ],
)
async def test_keys_guard_what_tells_or_costs_something(run_service: RunService, path: str, is_open: bool) -> None:
    async with run_service(api_keys="one, two") as service:
        plain = await service.client.get(path)
        wrong = await service.client.get(path, headers={"Authorization": "Bearer three"})
        right = await service.client.get(path, headers={"Authorization": "bearer two"})
    assert (plain.status_code, wrong.status_code, right.status_code) == ((200,) * 3 if is_open else (401, 401, 200))
    if not is_open:
        assert plain.headers["www-authenticate"] == "Bearer"
        assert "no API key was given" in plain.json()["detail"]
        assert "is not accepted" in wrong.json()["detail"]
        assert "three" not in wrong.text


async def test_openapi_describes_the_form(service: Service) -> None:
    document = (await service.client.get("/openapi.json")).json()
    form = document["paths"]["/recognize"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert set(form["properties"]) == {
        "video", "labels", "label_set", "top_k", "lambda", "views", "template", "strict", "explain", "deadline_seconds",
    }  # fmt: skip
