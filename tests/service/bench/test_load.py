"""The load: requests that warm up are not counted, failures are, and no more run at once than were asked for."""

import pytest

from service.bench.load import measure_latencies, measure_throughput
from service.bench.plan import BenchError, BenchPlan
from service.bench.target import RequestError
from tests.service.bench.targets import VIDEO, Announced, FakeTarget

PLAN = BenchPlan(num_requests=6, num_warm_up=2, num_rounds=2, concurrencies=(1, 3))


async def test_new_and_known_videos_take_turns_and_the_first_ones_are_not_counted() -> None:
    target, announced = FakeTarget(), Announced()
    latencies = await measure_latencies(target, plan=PLAN, announce=announced)
    assert target.asked == [True, False] * 8
    assert (latencies.new_video.num, latencies.known_video.num, latencies.num_hits) == (6, 6, 0)
    assert latencies.video == VIDEO.model_dump(exclude={"video_id"})
    assert announced.totals == announced.steps == {"latency": 16}


async def test_stages_are_those_of_the_service_and_what_its_clock_does_not_see() -> None:
    latencies = await measure_latencies(FakeTarget(), plan=PLAN, announce=Announced())
    stages = latencies.stages
    assert list(stages) == ["decode", "encode", "elsewhere"]
    assert (stages["decode"].p50_ms, stages["encode"].max_ms) == (2.0, 1.0)
    assert stages["elsewhere"].mean_ms == pytest.approx(latencies.new_video.mean_ms - 3.0, abs=0.01)


async def test_new_videos_that_the_cache_had_are_counted() -> None:
    latencies = await measure_latencies(FakeTarget(cache="hit"), plan=PLAN, announce=Announced())
    assert latencies.num_hits == 6


async def test_failed_request_ends_the_measurement_of_latency() -> None:
    with pytest.raises(RequestError, match="request 3 was refused"):
        await measure_latencies(FakeTarget(failing=range(3, 4)), plan=PLAN, announce=Announced())


async def test_throughput_is_measured_at_every_concurrency() -> None:
    target, announced = FakeTarget(), Announced()
    one, three = await measure_throughput(target, plan=PLAN, announce=announced)
    assert (one.concurrency, one.latency.num, three.concurrency, three.latency.num) == (1, 8, 3, 24)
    assert (target.most_running, set(target.asked)) == (3, {True})
    assert three.requests_per_second > 1.5 * one.requests_per_second
    assert announced.totals == announced.steps == {"throughput": 32}


async def test_refused_requests_are_counted_with_the_first_reason() -> None:
    one, three = await measure_throughput(FakeTarget(failing=range(5, 7)), plan=PLAN, announce=Announced())
    assert (one.num_failed, one.first_failure, one.latency.num) == (0, None, 8)
    assert (three.num_failed, three.first_failure, three.latency.num) == (2, "request 5 was refused", 22)


async def test_concurrency_at_which_nothing_is_answered_is_an_error() -> None:
    with pytest.raises(BenchError) as raised:
        await measure_throughput(FakeTarget(failing=range(99)), plan=PLAN, announce=Announced())
    assert str(raised.value) == "at concurrency 1 none of 8 requests was answered: request 0 was refused"
