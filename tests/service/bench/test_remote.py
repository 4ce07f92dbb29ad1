"""A service asked over HTTP: videos it cannot know, its problems repeated, and what is no service named."""

from pathlib import Path

import httpx
import numpy as np
import pytest

from service.bench.plan import BenchError
from service.bench.remote import RemoteTarget, make_filler, open_client
from service.bench.target import RequestError
from service.contract.decode import decode_frames
from service.contract.views import ViewPlan
from service.settings import Settings
from tests.conftest import RunService, Service
from tests.encoders import FakeEngine
from tests.videos import write_numbered_video


async def connect(client: httpx.AsyncClient, *, label_set: str | None = "ucf101") -> RemoteTarget:
    return await RemoteTarget.connect(client, content=b"video", views=ViewPlan(2, 1), label_set=label_set)


async def test_new_video_is_not_in_the_cache_and_the_known_one_is(service: Service) -> None:
    target = await connect(service.client)
    answers = [await target.ask(is_new=is_new) for is_new in (True, False, True, False)]
    assert [answer.cache.video for answer in answers] == ["miss", "miss", "miss", "hit"]
    assert {len(answer.frames) for answer in answers} == {8}
    subject = target.subject
    assert (subject.bundle, subject.label_set, subject.num_labels) == ("fake", "ucf101", 101)
    assert (subject.digest, subject.url) == (service.parts.answering.bundle.digest, "http://service")


async def test_refusal_of_the_service_is_repeated(run_service: RunService) -> None:
    async with run_service(max_labels=1, max_upload_bytes=4) as service:
        target = await connect(service.client)
        with pytest.raises(RequestError, match=r"status 413, .*4 bytes"):
            await target.ask(is_new=True)


async def test_label_set_that_the_service_does_not_have_is_named(service: Service) -> None:
    with pytest.raises(BenchError, match="--label-set is 'nope', which is not stored here; known are: hmdb51, "):
        await connect(service.client, label_set="nope")


async def test_service_that_is_not_ready_is_refused(run_service: RunService) -> None:
    async with run_service(FakeEngine()) as service:
        service.engine.reader.alive = False
        await service.app.state.gateway.readiness.replay()
        with pytest.raises(BenchError, match=r"http://service/readyz cannot be asked: status 503, .*no worker takes"):
            await connect(service.client)


def answering(text: str) -> httpx.AsyncClient:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, text=text))
    return httpx.AsyncClient(transport=transport, base_url="http://other")


async def test_answers_of_another_service_are_named() -> None:
    async with answering('{"hello": 1}') as client:
        with pytest.raises(BenchError, match=r"http://other does not answer as this version of DuoAct does: "):
            await connect(client)


async def test_answer_of_another_service_is_no_recognition(service: Service) -> None:
    known = await connect(service.client)
    async with answering("[]") as client:
        target = RemoteTarget(client, content=b"", fields={}, subject=known.subject)
        with pytest.raises(RequestError, match=r"http://other does not answer as this version of DuoAct does: "):
            await target.ask(is_new=False)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (
            "http://127.0.0.1:1",
            r"http://127.0.0.1:1/readyz cannot be asked: ConnectError .*; start `duoact serve` there",
        ),
        ("127.0.0.1", r"cannot be asked: UnsupportedProtocol .*; start `duoact serve` there, or correct --url"),
        ("http://a:b", r"--url is 'http://a:b': Invalid port: 'b'; give an address such as http://127.0.0.1:8000"),
    ],
)
async def test_url_where_nothing_answers_is_named(url: str, message: str) -> None:
    with pytest.raises(BenchError, match=message):
        async with open_client(url, settings=Settings.load()) as client:
            await connect(client)


async def test_first_api_key_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUOACT_API_KEYS", "one,two")
    async with open_client("http://service", settings=Settings.load()) as client:
        assert client.headers["Authorization"] == "Bearer one"
    monkeypatch.delenv("DUOACT_API_KEYS")
    async with open_client("http://service", settings=Settings.load()) as client:
        assert "Authorization" not in client.headers


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi", ".ts"])
def test_bytes_at_the_end_change_nothing_but_the_digest(tmp_path: Path, suffix: str) -> None:
    content = write_numbered_video(tmp_path / f"clip{suffix}", num_frames=12).read_bytes()
    fillers = {make_filler(content), make_filler(content)}
    decoded = [
        decode_frames(source, select=lambda count: np.arange(count), transform=lambda frame: frame)
        for source in (content, content + fillers.pop())
    ]
    assert len(fillers) == 1
    assert [each.degraded for each in decoded] == [None, None]
    assert decoded[0].info == decoded[1].info
    np.testing.assert_array_equal(decoded[0].frames, decoded[1].frames)
