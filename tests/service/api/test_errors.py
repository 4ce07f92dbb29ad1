"""Every refusal leaves as a problem document of the one table."""

import json
from collections.abc import Iterator

import httpx
import pytest
import structlog

from service.api.errors import INTERNAL, PROBLEMS, kind_of
from service.api.uploads import UploadTooSlowError
from service.contract.errors import (
    BundleError,
    DeadlineExceededError,
    DecoderUnavailableError,
    DuoActError,
    EncoderSilentError,
    EncoderUnavailableError,
    QueueFullError,
    StorageFullError,
    StorageUnavailableError,
    UndecodableVideoError,
    UnsupportedVideoError,
    VideoTooLargeError,
)
from tests.conftest import RunService, Service
from tests.encoders import FakeEngine, FakeReader, FakeTextEncoder, FakeVideoEncoder

VIDEO = ("video", ("clip.mp4", b"pixels", "video/mp4"))
LABELS = json.dumps(["moving left", "moving right"])


def subclasses(base: type[DuoActError]) -> Iterator[type[DuoActError]]:
    for subclass in base.__subclasses__():
        yield subclass
        yield from subclasses(subclass)


def check_problem(response: httpx.Response, *, status: int, problem: str, detail: str) -> None:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert (body["type"], body["status"]) == (f"urn:duoact:problem:{problem}", status)
    assert detail in body["detail"]
    assert body["title"]
    assert body["request_id"] == response.headers["x-request-id"]


def test_every_error_has_a_row_of_its_own() -> None:
    ours = {error for error in subclasses(DuoActError) if error.__module__.startswith("service.")}
    assert ours == set(PROBLEMS)


def test_error_class_of_the_future_takes_the_row_of_its_base() -> None:
    class SomeVideoError(UndecodableVideoError):
        pass

    class StrangeError(DuoActError):
        pass

    assert kind_of(SomeVideoError("x")) == PROBLEMS[UndecodableVideoError]
    assert kind_of(StrangeError("x")) == INTERNAL


@pytest.mark.parametrize(
    ("error", "status", "problem", "field"),
    [
        (UploadTooSlowError("slow"), 408, "upload-too-slow", None),
        (UnsupportedVideoError("a PNG"), 415, "unsupported-video", "video"),
        (UndecodableVideoError("no frames"), 422, "undecodable-video", "video"),
        (VideoTooLargeError("9 pixels"), 413, "video-too-large", "video"),
        (DeadlineExceededError("too slow"), 504, "deadline-exceeded", None),
        (BundleError("altered"), 503, "bundle", None),
        (EncoderUnavailableError("away"), 503, "encoder-unavailable", None),
        (DecoderUnavailableError("away"), 503, "decoder-unavailable", None),
        (EncoderSilentError("no answer"), 503, "encoder-unavailable", None),
        (StorageUnavailableError("gone"), 503, "storage-unavailable", None),
        (StorageFullError("full"), 507, "storage-full", None),
        (QueueFullError("full", 2.5), 429, "queue-full", None),
    ],
)
async def test_error_from_below_becomes_its_row(
    run_service: RunService, error: DuoActError, status: int, problem: str, field: str | None
) -> None:
    async with run_service(FakeEngine(reader=FakeReader(error=error))) as service:
        response = await service.client.post("/recognize", files=[VIDEO], data={"labels": LABELS})
    check_problem(response, status=status, problem=problem, detail=str(error))
    assert response.json().get("field") == field
    assert ("retry-after" in response.headers) == (status in (429, 503, 507))


@pytest.mark.parametrize(
    ("data", "status", "problem", "detail"),
    [
        ({}, 400, "malformed-request", "no labels were given"),
        ({"labels": ""}, 422, "labels", "label '' is empty"),
        ({"labels": "[]"}, 422, "labels", "the label list is empty"),
        ({"labels": '["a", "A"]'}, 422, "labels", "given twice, at 1 and 2"),
        ({"labels": json.dumps([str(i) for i in range(10_001)])}, 422, "labels", "10001 labels"),
        ({"labels": [f"label {i}" for i in range(10_001)]}, 422, "labels", "10001 labels"),
        ({"labels": [f"label {i}" for i in range(10_100)]}, 422, "labels", "more than 10000 labels"),
        ({"labels": json.dumps(["a" * 2000])}, 422, "labels", "has 2000 characters; at most 256"),
        ({"labels": '["\\ud800"]'}, 422, "labels", "broken surrogates"),
        ({"labels": '{"a": 1}'}, 400, "malformed-request", "unknown keys ['a']"),
        ({"labels": '[["a"]]'}, 400, "malformed-request", "must be a string or an object"),
        ({"labels": "[1, 2"}, 400, "malformed-request", "is not valid JSON"),
        ({"labels": "[NaN]"}, 400, "malformed-request", "NaN is not a JSON value"),
        ({"labels": "[" * 100_000}, 400, "malformed-request", "holds values more than 8 deep"),
        ({"labels": f"[{'{},' * 90_000}{{}}]"}, 400, "malformed-request", "holds more than 80000 values; send fewer"),
        ({"labels": ['{"en": [1, 2, 3, 4, 5, 6, 7, 8]}', "a"]}, 400, "malformed-request", "holds more than 8 values"),
        ({"labels": '"running"'}, 400, "malformed-request", "send a JSON list"),
        ({"labels": "42"}, 400, "malformed-request", "send a JSON list"),
        ({"labels": "running, jumping"}, 400, "malformed-request", "one field 'labels' for each label"),
        ({"label_set": "nope"}, 404, "not-found", "label set 'nope' is not stored here; known are:"),
        ({"labels": LABELS, "label_set": "shapes"}, 400, "malformed-request", "both 'labels' and 'label_set'"),
        ({"labels": LABELS, "top_k": "0"}, 422, "impossible-request", "top_k is 0"),
        ({"labels": LABELS, "top_k": "10001"}, 422, "impossible-request", "it must be between 1 and 10000"),
        ({"labels": LABELS, "top_k": "ten"}, 400, "malformed-request", "top_k is 'ten'"),
        ({"labels": LABELS, "top_k": "9" * 5000}, 400, "malformed-request", "give a whole number"),
        ({"labels": LABELS, "lambda": "1.5"}, 422, "languages", "lambda is 1.5"),
        ({"labels": LABELS, "lambda": "-0.1"}, 422, "languages", "lambda is -0.1"),
        ({"labels": LABELS, "lambda": "nan"}, 422, "languages", "lambda is nan"),
        ({"labels": LABELS, "lambda": "half"}, 400, "malformed-request", "lambda is 'half'"),
        ({"labels": LABELS, "views": "9"}, 422, "impossible-request", "views is '9'"),
        (
            {"labels": LABELS, "template": "no place"},
            422,
            "impossible-request",
            "template is 'no place'",
        ),
        ({"labels": LABELS, "template": "{}\n"}, 422, "impossible-request", "must hold no control characters"),
        ({"labels": LABELS, "template": "a" * 300}, 422, "impossible-request", "template has 300 characters"),
        ({"labels": LABELS, "strict": "maybe"}, 400, "malformed-request", "strict is 'maybe'"),
        ({"labels": '["flying"]', "strict": "1"}, 422, "languages", "no Chinese text for 'flying'"),
        ({"labels": '["flying", "跳"]'}, 422, "languages", "no language in common"),
        ({"labels": LABELS, "colour": "red"}, 400, "malformed-request", "unknown field 'colour'; allowed are video"),
        ({"labels": LABELS, "top_k": ["1", "2"]}, 400, "malformed-request", "'top_k' was given twice"),
        ({"labels": LABELS, "deadline_seconds": "0"}, 422, "impossible-request", "deadline_seconds is 0"),
    ],
)
async def test_bad_field_is_named_with_its_value(
    service: Service, data: dict[str, str | list[str]], status: int, problem: str, detail: str
) -> None:
    response = await service.client.post("/recognize", files=[VIDEO], data=data)
    check_problem(response, status=status, problem=problem, detail=detail)
    assert service.engine.reader.names == []


@pytest.mark.parametrize(
    "data",
    [
        {"labels": json.dumps(["x", "\u00a0" * 100_000])},
        {"labels": json.dumps(["\u0001" * 250])},
        {"labels": json.dumps([[["x" * 100_000] * 5]])},
        {"labels": json.dumps([{"en": ["x" * 100_000]}])},
        {"labels": json.dumps([{"\u0001" * 100_000: 1}])},
        {"labels": json.dumps([{f"{number}" * 9000: 1 for number in range(7)}])},
        {"labels": json.dumps(["\u3000" * 250] * 2)},
        {"labels": json.dumps(["\U000e0001" * 250 + str(number) for number in range(9)]), "strict": "1"},
        {"labels": "x" * 100_000 + ","},
        {"labels": '["' + "x" * 100_000},
        {"labels": ["a", "{" + "x" * 100_000]},
        {"label_set": "x" * 100_000},
        {"x" * 100_000: "1"},
    ],
)
async def test_refusal_repeats_little_of_what_was_sent(service: Service, data: dict[str, str | list[str]]) -> None:
    response = await service.client.post("/recognize", files=[VIDEO], data={"labels": LABELS} | data)
    assert response.status_code in (400, 422), response.text
    assert len(response.content) < 8000


async def test_call_that_there_is_not_is_repeated_in_part(service: Service) -> None:
    assert len((await service.client.get("/" + "x" * 50_000)).content) < 500


async def test_text_that_is_not_utf8_is_refused(service: Service) -> None:
    files = [VIDEO, ("labels", (None, b"\xff\xfe", None))]
    response = await service.client.post("/recognize", files=files)
    check_problem(response, status=400, problem="malformed-request", detail="'labels' is not UTF-8")


async def test_views_beyond_the_servers_limit_are_refused(run_service: RunService) -> None:
    async with run_service(max_views=3) as service:
        data = {"labels": LABELS, "views": "2x3"}
        response = await service.client.post("/recognize", files=[VIDEO], data=data)
    check_problem(
        response, status=422, problem="impossible-request", detail="views is 2x3, which makes 6 views; at most 3"
    )


@pytest.mark.parametrize(
    ("files", "status", "detail"),
    [
        ([("labels", (None, LABELS))], 400, "no video was given"),
        ([("labels", (None, LABELS)), ("video", (None, "clip.mp4"))], 400, "'video' is a text field"),
        ([VIDEO, VIDEO], 400, "'video' was given twice"),
        ([("film", ("a.mp4", b"x"))], 400, "field 'film' holds a file"),
        ([("labels", (None, LABELS)), ("video", ("a.mp4", b""))], 422, "the file is empty"),
    ],
)
async def test_form_without_one_video_is_refused(
    service: Service, files: list[tuple[str, tuple[str | None, bytes]]], status: int, detail: str
) -> None:
    response = await service.client.post("/recognize", files=files)
    assert (response.status_code, detail in response.json()["detail"]) == (status, True)


@pytest.mark.parametrize(
    "content_type", ["application/json", "multipart/form-data", "", f"multipart/form-data; boundary={'b' * 999}"]
)
async def test_body_that_is_no_form_is_refused(service: Service, content_type: str) -> None:
    response = await service.client.post("/recognize", content=b"{}", headers={"content-type": content_type})
    check_problem(response, status=400, problem="malformed-request", detail="")


@pytest.mark.parametrize(
    ("method", "path", "status", "problem"),
    [("GET", "/nowhere", 404, "not-found"), ("GET", "/recognize", 405, "method-not-allowed")],
)
async def test_framework_refusals_are_problem_documents(
    service: Service, method: str, path: str, status: int, problem: str
) -> None:
    check_problem(await service.client.request(method, path), status=status, problem=problem, detail=f"{method} {path}")


async def test_parameter_that_the_framework_cannot_read_is_named(service: Service) -> None:
    @service.app.get("/number/{number}")
    async def number(number: int) -> int:
        return number

    check_problem(
        await service.client.get("/number/x"),
        status=400,
        problem="malformed-request",
        detail="path.number: Input should",
    )


@pytest.mark.parametrize(
    "engine",
    [
        FakeEngine(video=FakeVideoEncoder(error=KeyError("secret"))),
        FakeEngine(reader=FakeReader(error=DuoActError("secret"))),
    ],
)
async def test_internal_error_says_its_request_id_and_nothing_else(run_service: RunService, engine: FakeEngine) -> None:
    with structlog.testing.capture_logs() as lines:
        async with run_service(engine) as service:
            response = await service.client.post("/recognize", files=[VIDEO], data={"labels": LABELS})
    check_problem(response, status=500, problem="internal", detail="give the request id")
    assert "secret" not in response.text
    assert [line["event"] for line in lines] == ["decoding started", "unforeseen error", "request"]


@pytest.mark.parametrize(
    ("engine", "stage"),
    [
        (FakeEngine(reader=FakeReader(delay_seconds=9)), "decoding"),
        (FakeEngine(video=FakeVideoEncoder(delay_seconds=9)), "encoding"),
        (FakeEngine(english=FakeTextEncoder(delay_seconds=9)), "the embedding of labels"),
    ],
)
async def test_deadline_ends_the_stage_that_is_too_slow(
    run_service: RunService, engine: FakeEngine, stage: str
) -> None:
    async with run_service(engine) as service:
        data = {"labels": '["flying"]', "lambda": "1", "deadline_seconds": "0.2"}
        response = await service.client.post("/recognize", files=[VIDEO], data=data)
    check_problem(response, status=504, problem="deadline-exceeded", detail=f"0.2 s passed during {stage}")
    assert engine.reader.num_cancelled + engine.video.num_cancelled + engine.english.num_cancelled == 1


async def test_client_cannot_raise_the_deadline(run_service: RunService) -> None:
    async with run_service(FakeEngine(reader=FakeReader(delay_seconds=9)), deadline_seconds=0.2) as service:
        data = {"labels": LABELS, "deadline_seconds": "60"}
        response = await service.client.post("/recognize", files=[VIDEO], data=data)
    check_problem(response, status=504, problem="deadline-exceeded", detail="deadline of 0.2 s")


async def test_wrong_encoder_answers_nobody(run_service: RunService) -> None:
    async with run_service(FakeEngine(check_error=EncoderUnavailableError("wrong by 0.3"))) as service:
        response = await service.client.post("/recognize", files=[VIDEO], data={"labels": LABELS})
    check_problem(response, status=503, problem="encoder-unavailable", detail="encoder: wrong by 0.3")


async def test_too_many_labels_are_said_before_a_rank_that_they_cannot_have(run_service: RunService) -> None:
    async with run_service(max_labels=1) as service:
        response = await service.client.post("/recognize", files=[VIDEO], data={"labels": LABELS})
    check_problem(response, status=422, problem="labels", detail="2 labels were given; at most 1 are allowed")
