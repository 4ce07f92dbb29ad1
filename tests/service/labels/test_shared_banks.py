"""Gateways that share a Redis encode each text once between them, and answer without it."""

import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np

from service.contract.label_banks import BankKey
from service.contract.labels import Label
from service.contract.languages import LanguagePlan
from service.labels.banks import LabelBanks
from service.labels.redis import RedisLabels, RedisOptions
from service.labels.store import LabelStore
from tests.bundles import TEMPLATE_EN, TEMPLATE_ZH
from tests.encoders import DIMENSION, FakeTextEncoder
from tests.redis_server import RedisServer

KEY = BankKey("a" * 64, TEMPLATE_EN, "label", "b" * 64, TEMPLATE_ZH)
BOTH = LanguagePlan(0.5, True)
LABELS = [Label("running fast", "快跑"), Label("jumping", "跳")]


@asynccontextmanager
async def open_gateway(
    server: RedisServer, towers: FakeTextEncoder, *, timeout_seconds: float = 10.0, store: LabelStore | None = None
) -> AsyncIterator[LabelBanks]:
    options = RedisOptions(timeout_seconds=timeout_seconds, rest_seconds=60.0)
    shared = RedisLabels(server.url, dimension=DIMENSION, options=options)
    banks = LabelBanks({"en": towers, "zh": towers}, key=KEY, stored=(), store=store, max_bytes=1 << 20, shared=shared)
    await banks.open()
    try:
        yield banks
    finally:
        await banks.close()


async def test_text_that_one_gateway_encoded_is_a_hit_at_another(redis_server: RedisServer) -> None:
    async with open_gateway(redis_server, FakeTextEncoder()) as banks:
        first = await banks.fetch(LABELS, plan=BOTH, template=None)
    towers = FakeTextEncoder()
    async with open_gateway(redis_server, towers) as banks:
        second = await banks.fetch([*LABELS, Label("new", "新")], plan=BOTH, template=None)
    assert (second.num_hits, second.num_misses) == (4, 2)
    assert sorted(towers.batches) == [("new",), ("新",)]
    for name in ("english", "chinese"):
        np.testing.assert_array_equal(getattr(second.bank, name)[:2], getattr(first.bank, name))


async def test_text_from_elsewhere_is_kept_here(redis_server: RedisServer, tmp_path: Path) -> None:
    async with open_gateway(redis_server, FakeTextEncoder()) as banks:
        await banks.fetch(LABELS, plan=BOTH, template=None)
    for _ in range(2):
        towers = FakeTextEncoder()
        store = LabelStore(tmp_path / "labels.sqlite", max_bytes=1 << 20)
        async with open_gateway(redis_server, towers, store=store) as banks:
            assert (await banks.fetch(LABELS, plan=BOTH, template=None)).num_hits == 4
        redis_server.kill()


async def test_answer_does_not_need_redis(redis_server: RedisServer) -> None:
    towers = FakeTextEncoder()
    async with open_gateway(redis_server, towers, timeout_seconds=0.3) as banks:
        redis_server.send(signal.SIGSTOP)
        fetched = await banks.fetch(LABELS, plan=BOTH, template=None)
        redis_server.kill()
        assert len((await banks.fetch([Label("new", "新")], plan=BOTH, template=None)).bank) == 1
    assert (len(fetched.bank), fetched.num_misses, len(towers.batches)) == (2, 4, 4)
