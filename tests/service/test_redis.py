"""The composition root shares label embeddings through the Redis that the settings name."""

import sys

import httpx
import pytest

from service.settings import Settings, SettingsError
from tests.conftest import RunService
from tests.redis_server import RedisServer

LABELS = '["running", "jumping"]'


async def ask(client: httpx.AsyncClient) -> None:
    answer = await client.post("/recognize", files={"video": b"bytes"}, data={"labels": LABELS})
    assert answer.status_code == 200, answer.text


async def test_metrics_tell_what_redis_gave(run_service: RunService, redis_server: RedisServer) -> None:
    for _ in range(2):
        async with run_service(redis_url=redis_server.url, cache_dir="") as service:
            await ask(service.client)
            text = (await service.client.get("/metrics")).text
    assert "duoact_shared_labels_up 1.0" in text
    assert 'duoact_shared_label_lookups_total{result="hit"} 2.0' in text
    assert 'duoact_shared_label_writes_total{result="written"} 0.0' in text


async def test_service_is_ready_and_answers_without_its_redis(
    run_service: RunService, redis_server: RedisServer
) -> None:
    redis_server.kill()
    async with run_service(redis_url=redis_server.url) as service:
        await ask(service.client)
        assert (await service.client.get("/readyz")).status_code == 200
        text = (await service.client.get("/metrics")).text
    assert "duoact_shared_labels_up 0.0" in text
    assert 'duoact_shared_label_lookups_total{result="failed"} 2.0' in text


async def test_wrong_address_is_named_without_its_password(run_service: RunService) -> None:
    with pytest.raises(SettingsError, match=r"DUOACT_REDIS_URL: the address is none of Redis \(its scheme is 'http'\)"):
        async with run_service(redis_url="http://:secret@redis"):
            pass


async def test_missing_client_of_redis_is_named(run_service: RunService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "service.labels.redis", None)
    with pytest.raises(SettingsError, match=r"DUOACT_REDIS_URL is set, but .*; pip install 'duoact\[redis\]'"):
        async with run_service(redis_url="redis://redis:6379"):
            pass


def test_address_of_redis_does_not_print_and_may_be_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUOACT_REDIS_URL", "redis://:secret@redis:6379/0")
    assert "secret" not in repr(Settings.load())
    monkeypatch.setenv("DUOACT_REDIS_URL", "")
    assert Settings.load().redis_url is None
