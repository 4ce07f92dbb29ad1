"""How often a client may ask, and how much at the same time."""

import asyncio
import json

import pytest

from service.api.rates import Rates
from service.contract.errors import QueueFullError
from tests.conftest import RunService
from tests.encoders import FakeEngine, FakeReader


def test_client_has_a_burst_and_then_its_rate() -> None:
    now = 0.0
    rates = Rates(60, clock=lambda: now)
    for _ in range(10):
        rates.take("a")
    with pytest.raises(QueueFullError, match="more than 60 requests a minute were made; make fewer") as refusal:
        rates.take("a")
    assert refusal.value.retry_after_seconds == pytest.approx(1.0)
    rates.take("b")
    now = 1.0
    rates.take("a")
    with pytest.raises(QueueFullError):
        rates.take("a")
    now = 1000.0
    for _ in range(10):
        rates.take("a")


@pytest.mark.parametrize("per_minute", [0, 1])
def test_slow_rate_lets_one_through_and_none_lets_all(per_minute: int) -> None:
    rates = Rates(per_minute, clock=lambda: 0.0)
    rates.take("a")
    if per_minute:
        with pytest.raises(QueueFullError):
            rates.take("a")
    else:
        rates.take("a")


def test_forgotten_clients_cost_no_memory() -> None:
    rates = Rates(1, clock=lambda: 0.0)
    for number in range(10_001):
        rates.take(str(number))
    rates.take("0")
    with pytest.raises(QueueFullError):
        rates.take("10000")


async def test_bounds_of_a_client_are_429_and_its_own(run_service: RunService) -> None:
    engine = FakeEngine(reader=FakeReader(delay_seconds=0.2))
    async with run_service(engine, client_concurrent_requests=2, api_keys="one,two") as service:

        async def ask(key: str) -> tuple[int, str]:
            headers = {"Authorization": f"Bearer {key}"}
            files, data = {"video": ("a", key.encode())}, {"labels": json.dumps(["moving left"])}
            answer = await service.client.post("/recognize", files=files, data=data, headers=headers)
            return answer.status_code, answer.json().get("detail", "")

        answers = await asyncio.gather(*(ask(key) for key in ("one", "one", "one", "two")))
    assert sorted(status for status, _ in answers[:3]) == [200, 200, 429]
    assert answers[3][0] == 200
    assert "2 are yours, which is the most that one client may have" in max(detail for _, detail in answers)
