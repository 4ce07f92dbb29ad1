"""Ten thousand labels are work: in the deadline and the slots, beside the event loop, and over when nobody waits."""

import asyncio
import json
import time

import httpx

from tests.conftest import RunService, Service

VIDEO = {"video": ("clip.mp4", b"pixels", "video/mp4")}
FEW = json.dumps(["moving left", "moving right"])
MANY = json.dumps([f"moving {number} by {number % 7} and {number % 11}" for number in range(10_000)])


async def ask(service: Service, labels: str, **fields: str) -> httpx.Response:
    return await service.client.post("/recognize", files=VIDEO, data={"labels": labels, "views": "10x3", **fields})


async def longest_turn(task: "asyncio.Task[httpx.Response]") -> float:
    """The most seconds that the loop's thread computed at a stretch while a task ran; other load does not count."""
    longest = 0.0
    while not task.done():
        began = time.thread_time()
        await asyncio.sleep(0.002)
        longest = max(longest, time.thread_time() - began)
    return longest


async def test_slot_of_whoever_goes_away_is_free_soon_and_not_before_its_thread(run_service: RunService) -> None:
    async with run_service(max_concurrent_requests=1) as service:
        assert (await ask(service, MANY)).status_code == 200
        for delay_seconds in (0.02, 0.1, 0.3, 0.5):
            leaving = asyncio.create_task(ask(service, MANY))
            await asyncio.sleep(delay_seconds)
            leaving.cancel()
            await asyncio.wait([leaving])
            # The only thread takes other work within a step of what was left.
            assert await asyncio.wait_for(service.parts.answering.scoring.run(lambda: "free"), 1.0) == "free"
        assert (await ask(service, FEW)).status_code == 200


async def test_scoring_keeps_the_deadline(run_service: RunService) -> None:
    async with run_service() as service:
        assert (await ask(service, MANY)).status_code == 200
        response = await ask(service, MANY, deadline_seconds="0.03")
    assert response.status_code == 504, response.text
    assert "the deadline of 0.03 s passed during the " in response.json()["detail"]


async def test_service_stays_alive_beside_many_labels(service: Service) -> None:
    for _ in range(2):
        asking = asyncio.create_task(ask(service, MANY, top_k="10000", explain="true"))
        assert await longest_turn(asking) < 0.2
        assert len((await asking).json()["predictions"]) == 10_000


async def test_parts_of_a_request_count_and_warn_together(service: Service) -> None:
    labels = json.dumps([f"☃ {number}" for number in range(9000)])
    answer = (await ask(service, labels)).json()
    assert answer["cache"]["labels"] == {"hits": 0, "misses": 9000}
    assert [warning for warning in answer["warnings"] if "does not know" in warning] == [
        "'☃ 0', '☃ 1', '☃ 2', '☃ 3', '☃ 4' and 8995 more: written with characters that the text tower does not know"
    ]
