"""POST /recognize with fakes: the whole answer, and what its parts mean."""

import hashlib
import json
from typing import Any

import httpx
import numpy as np
import pytest

from service.contract.manifest import Manifest
from service.contract.scoring import LabelBank, Scores, score_labels
from service.contract.views import ViewPlan
from tests.bundles import ENGLISH_ONLY, POOLED, TEMPLATE_EN, TEMPLATE_ZH
from tests.conftest import RunService, Service
from tests.encoders import FakeEngine, FakeReader, FakeTextEncoder, FakeVideoEncoder, make_up_views, unit_vector

VIDEO = {"video": ("clip.mp4", b"pixels", "video/mp4")}
PAIRS = [{"en": "moving left", "zh": "向左移动"}, {"en": "jumping up", "zh": "跳"}, {"en": "running", "zh": "跑"}]


async def ask(service: Service, labels: object = PAIRS, **fields: str) -> httpx.Response:
    data = {"labels": json.dumps(labels, ensure_ascii=False), **fields}
    return await service.client.post("/recognize", files=VIDEO, data=data)


async def answer_of(service: Service, labels: object = PAIRS, **fields: str) -> dict[str, Any]:
    response = await ask(service, labels, **fields)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def expected_scores(manifest: Manifest, plan: ViewPlan) -> Scores:
    made_up = make_up_views(b"pixels", preprocessing=manifest.preprocessing, sampling=manifest.sampling, plan=plan)
    words = [[unit_vector(word) for word in pair["en"].split()] for pair in PAIRS]
    bank = LabelBank(
        english=np.stack([unit_vector(TEMPLATE_EN.format(pair["en"])) for pair in PAIRS]),
        chinese=np.stack([unit_vector(TEMPLATE_ZH.format(pair["zh"])) for pair in PAIRS]),
        # As label banks remember them.
        words=np.concatenate(words).astype(np.float16),
        word_counts=np.array([len(own) for own in words]),
    )
    features = await FakeVideoEncoder().encode_video(made_up.views)
    return score_labels(features, bank, scoring=manifest.scoring, fusion_lambda=0.5, weigh_words=True)


async def test_answer_has_every_part_of_the_contract(service: Service) -> None:
    answer = await answer_of(service)
    scores = await expected_scores(service.parts.answering.bundle.manifest, ViewPlan())
    order = np.argsort(-scores.probability)
    assert scores.similarity_en is not None
    assert scores.similarity_zh is not None
    timings = answer.pop("timings_ms")
    assert list(timings) == ["upload", "queue", "labels", "decode", "encode", "score", "total"]
    assert answer == {
        "request_id": answer["request_id"],
        "bundle": {"name": "fake", "digest": service.parts.answering.bundle.digest},
        "fusion": {"lambda": 0.5, "languages": ["en", "zh"], "tau": 0.1},
        "predictions": [
            {
                "rank": rank,
                "label": PAIRS[label],
                "probability": pytest.approx(scores.probability[label], abs=1e-6),
                "score": pytest.approx(scores.score[label], abs=1e-6),
                "similarity_en": pytest.approx(scores.similarity_en[label], abs=1e-6),
                "similarity_zh": pytest.approx(scores.similarity_zh[label], abs=1e-6),
            }
            for rank, label in enumerate(order, start=1)
        ],
        "video": {
            "video_id": hashlib.sha256(b"pixels").hexdigest(),
            "duration_seconds": 4.0,
            "num_frames": 40,
            "width": 320,
            "height": 240,
            "codec": "h264",
            "frame_rate": 10.0,
            "rotation_degrees": 0,
            "tone_mapped_from": None,
        },
        "frames": [
            {"index": index, "time_seconds": index / 10, "weight": pytest.approx(weight, abs=1e-6)}
            for index, weight in zip((5, 15, 25, 35), scores.frame_weights[0, order[0]], strict=True)
        ],
        "cache": {"video": "miss", "labels": {"hits": 2, "misses": 4}},
        "warnings": [],
        "degraded": False,
    }


async def test_views_are_averaged_and_frame_weights_sum_to_one(service: Service) -> None:
    answer = await answer_of(service, views="2x3", explain="true")
    scores = await expected_scores(service.parts.answering.bundle.manifest, ViewPlan(2, 3))
    assert answer["predictions"][0]["probability"] == pytest.approx(scores.probability.max(), abs=1e-6)
    assert [frame["index"] for frame in answer["frames"]] == [0, 10, 20, 30, 9, 19, 29, 39]
    assert sum(frame["weight"] for frame in answer["frames"]) == pytest.approx(1.0)
    for prediction in answer["predictions"]:
        assert sum(prediction["frame_weights"]) == pytest.approx(1.0)


async def test_explain_adds_weights_and_a_thumbnail_per_frame(service: Service) -> None:
    answer = await answer_of(service, explain="true")
    weights = [frame["weight"] for frame in answer["frames"]]
    assert answer["predictions"][0]["frame_weights"] == weights
    assert all(frame["thumbnail"].startswith("data:image/jpeg;base64,") for frame in answer["frames"])


@pytest.mark.parametrize(
    ("labels", "fields", "languages", "warnings"),
    [
        (PAIRS, {}, ["en", "zh"], []),
        (PAIRS, {"lambda": "1"}, ["en"], []),
        (PAIRS, {"lambda": "0"}, ["zh"], []),
        (["running", "向左移动"], {"lambda": "1"}, ["en"], []),
        (["moving left", "flying"], {}, ["en"], ["no Chinese text for 'flying'"]),
        (["跳", "moving left"], {}, ["zh"], ["no English text for '跳'", "frames are averaged"]),
        (["moving left", "moving right"], {}, ["en", "zh"], []),
        (["moving left", "snow ☃ man"], {"lambda": "1"}, ["en"], ["does not know"]),
        (["moving left", "a " * 110 + "b"], {"lambda": "1"}, ["en"], ["only the beginning"]),
    ],
)
async def test_languages_of_the_labels_decide_how_they_are_scored(
    service: Service, labels: list[Any], fields: dict[str, str], languages: list[str], warnings: list[str]
) -> None:
    answer = await answer_of(service, labels, **fields)
    assert answer["fusion"]["languages"] == languages
    assert [part for part in warnings if part not in " ".join(answer["warnings"])] == []
    assert bool(answer["warnings"]) == bool(warnings)


async def test_stored_label_set_costs_no_encoding(service: Service) -> None:
    response = await service.client.post("/recognize", files=VIDEO, data={"label_set": "shapes", "lambda": "1"})
    assert response.json()["cache"]["labels"] == {"hits": 3, "misses": 0}
    assert service.engine.english.batches == []


async def test_builtin_label_set_without_a_stored_bank_is_embedded_once(run_service: RunService) -> None:
    fields = {"label_set": "hmdb51", "lambda": "0.5", "strict": "true", "top_k": "51"}
    found = []
    for _ in range(2):
        async with run_service() as service:
            for _ in range(2):
                response = await service.client.post("/recognize", files=VIDEO, data=fields)
                found.append(response.json()["cache"]["labels"])
    assert found == [{"hits": 0, "misses": 102}] + [{"hits": 102, "misses": 0}] * 3
    ranked = {row["label"]["en"]: row["label"]["zh"] for row in response.json()["predictions"]}
    assert (len(ranked), ranked["climb stairs"]) == (51, "爬楼梯")


async def test_second_question_about_a_video_is_answered_from_the_caches(service: Service) -> None:
    first, second = await answer_of(service), await answer_of(service)
    assert second["cache"] == {"video": "hit", "labels": {"hits": 6, "misses": 0}}
    assert second["predictions"] == first["predictions"]
    assert second["frames"] == first["frames"]
    assert (service.engine.video.num_calls, len(service.engine.reader.names)) == (1, 1)
    assert "decode" not in second["timings_ms"]


async def test_thumbnails_of_a_video_cached_without_them_are_made(service: Service) -> None:
    await answer_of(service)
    assert "thumbnail" in (await answer_of(service, explain="true"))["frames"][0]
    assert "thumbnail" not in (await answer_of(service))["frames"][0]


async def test_template_changes_the_english_embeddings_only(service: Service) -> None:
    plain, changed = await answer_of(service), await answer_of(service, template="art of {} seen")
    by_label = {p["label"]["en"]: p for p in plain["predictions"]}
    for prediction in changed["predictions"]:
        before = by_label[prediction["label"]["en"]]
        assert prediction["similarity_zh"] == before["similarity_zh"]
        assert prediction["similarity_en"] != before["similarity_en"]


async def test_top_k_limits_the_ranking(service: Service) -> None:
    full, short = await answer_of(service), await answer_of(service, top_k="2")
    assert short["predictions"] == full["predictions"][:2]
    assert (await answer_of(service, top_k="99"))["predictions"] == full["predictions"]


async def test_timings_explain_the_total(run_service: RunService) -> None:
    engine = FakeEngine(
        video=FakeVideoEncoder(delay_seconds=0.2),
        english=FakeTextEncoder(delay_seconds=0.1),
        reader=FakeReader(delay_seconds=0.2),
    )
    async with run_service(engine) as service:
        timings = (await answer_of(service))["timings_ms"]
    total = timings.pop("total")
    assert sum(timings.values()) == pytest.approx(total, rel=0.05)


async def test_timings_travel_as_a_header(service: Service) -> None:
    response = await ask(service)
    names = [part.split(";")[0] for part in response.headers["server-timing"].split(", ")]
    assert names == ["upload", "queue", "labels", "decode", "encode", "score", "total"]


async def test_damaged_video_is_answered_and_said_to_be_damaged(run_service: RunService) -> None:
    async with run_service(FakeEngine(reader=FakeReader(degraded="the file ends early"))) as service:
        answer = await answer_of(service)
    assert (answer["degraded"], answer["warnings"]) == (True, ["the file ends early"])


async def test_bundle_without_chinese_scores_in_english(run_service: RunService) -> None:
    async with run_service(FakeEngine(chinese=None), manifest=ENGLISH_ONLY) as service:
        answer = await answer_of(service)
        refused = await ask(service, **{"lambda": "0.5"})
    assert answer["fusion"] == {"lambda": 1.0, "languages": ["en"], "tau": 0.1}
    assert answer["predictions"][0]["similarity_zh"] is None
    assert refused.status_code == 422
    assert "no trained Chinese branch" in refused.json()["detail"]


async def test_pooled_bundle_gives_every_frame_the_same_weight(run_service: RunService) -> None:
    engine = FakeEngine(FakeVideoEncoder(pools=True), chinese=None)
    async with run_service(engine, manifest=POOLED) as service:
        answer = await answer_of(service, views="2x3", explain="true")
    assert [frame["weight"] for frame in answer["frames"]] == [0.125] * 8
    assert [prediction["frame_weights"] for prediction in answer["predictions"]] == [[0.125] * 8] * 3
    assert answer["predictions"][0]["score"] == answer["predictions"][0]["similarity_en"]
    assert answer["warnings"] == []


async def test_chinese_labels_are_refused_where_only_english_is_known(run_service: RunService) -> None:
    engine = FakeEngine(FakeVideoEncoder(pools=True), chinese=None)
    async with run_service(engine, manifest=POOLED) as service:
        known = await answer_of(service, ["向左移动"])
        refused = await ask(service, ["飞", "moving left"])
    assert known["predictions"][0]["label"] == {"en": "moving left", "zh": "向左移动"}
    assert refused.status_code == 422
    assert refused.json()["detail"] == (
        "no English text for '飞'; this bundle has no trained Chinese branch: give every label English text"
    )


async def test_restarted_service_knows_the_labels_of_the_last_one(run_service: RunService) -> None:
    async with run_service() as service:
        await answer_of(service)
    async with run_service() as service:
        assert (await answer_of(service))["cache"]["labels"] == {"hits": 6, "misses": 0}


async def test_service_without_a_place_on_disk_forgets_with_its_end(run_service: RunService) -> None:
    for _ in range(2):
        async with run_service(cache_dir="") as service:
            assert (await answer_of(service))["cache"]["labels"] == {"hits": 2, "misses": 4}


async def test_upload_never_has_a_name(service: Service) -> None:
    files = {"video": ("../../etc/x.mp4", b"pixels", "video/mp4")}
    response = await service.client.post("/recognize", files=files, data={"label_set": "shapes", "lambda": "1"})
    [name] = service.engine.reader.names
    assert response.status_code == 200
    assert "x.mp4" not in name
    assert name.endswith(" (deleted)")
