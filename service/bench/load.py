"""Requests one after another, and many at the same time: each next one is sent when one has its answer."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from service.api.schemas import Answer
from service.bench.plan import Advance, Announce, BenchError, BenchPlan
from service.bench.spread import Spread
from service.bench.target import RequestError, Target


@dataclass(frozen=True)
class Throughput:
    """Requests a second at one concurrency: the median of the rounds; ``latency`` is of the answered requests.

    ``num_failed`` requests were refused or had no answer, the first for the reason ``first_failure``.
    """

    concurrency: int
    requests_per_second: float
    latency: Spread
    num_failed: int
    first_failure: str | None


@dataclass(frozen=True)
class Latencies:
    """Requests one after another: what the video turned out to be, and what it cost.

    ``new_video`` is for a video that the service has never seen, and so are the ``stages``; ``known_video`` is for one
    whose features it still has. ``num_hits`` of the new videos were found in its cache after all.
    """

    video: dict[str, Any]
    new_video: Spread
    known_video: Spread
    stages: dict[str, Spread]
    num_hits: int


async def measure_latencies(target: Target, *, plan: BenchPlan, announce: Announce) -> Latencies:
    """Ask one by one, after requests that warm up; new and known videos take turns.

    Raises:
        RequestError: a request was refused, or had no answer.
    """
    advance = announce("latency", 2 * (plan.num_warm_up + plan.num_requests))
    new: list[tuple[float, Answer]] = []
    known: list[tuple[float, Answer]] = []
    for _ in range(plan.num_warm_up + plan.num_requests):
        for is_new, samples in ((True, new), (False, known)):
            samples.append(await _time(target, is_new=is_new))
            advance()
    counted = new[plan.num_warm_up :]
    return Latencies(
        video=new[-1][1].video.model_dump(mode="json", exclude={"video_id"}),
        new_video=Spread.of([seconds for seconds, _ in counted]),
        known_video=Spread.of([seconds for seconds, _ in known[plan.num_warm_up :]]),
        stages=_summarise_stages(counted),
        num_hits=sum(answer.cache.video == "hit" for _, answer in counted),
    )


async def measure_throughput(target: Target, *, plan: BenchPlan, announce: Announce) -> tuple[Throughput, ...]:
    """Ask about new videos at every concurrency, in rounds that take turns.

    Raises:
        BenchError: at some concurrency no request was answered; the message repeats why.
    """
    total = plan.num_rounds * sum(map(plan.num_requests_per_round, plan.concurrencies))
    advance = announce("throughput", total)
    rounds: dict[int, list[_Round]] = {concurrency: [] for concurrency in plan.concurrencies}
    for _ in range(plan.num_rounds):
        for concurrency, own in rounds.items():
            num_requests = plan.num_requests_per_round(concurrency)
            own.append(await _run_round(target, concurrency=concurrency, num_requests=num_requests, advance=advance))
    return tuple(_summarise_rounds(concurrency, own) for concurrency, own in rounds.items())


@dataclass(frozen=True)
class _Round:
    """What one round gave: its length, the latency of each answered request, and why the others failed."""

    seconds: float
    latencies: list[float]
    failures: list[str]


async def _run_round(target: Target, *, concurrency: int, num_requests: int, advance: Advance) -> _Round:
    waiting = iter(range(num_requests))
    latencies: list[float] = []
    failures: list[str] = []

    async def ask_in_turn() -> None:
        for _ in waiting:
            try:
                latencies.append((await _time(target, is_new=True))[0])
            except RequestError as error:
                failures.append(str(error))
            advance()

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(concurrency):
            group.create_task(ask_in_turn())
    return _Round(time.perf_counter() - began, latencies, failures)


async def _time(target: Target, *, is_new: bool) -> tuple[float, Answer]:
    began = time.perf_counter()
    answer = await target.ask(is_new=is_new)
    return time.perf_counter() - began, answer


def _summarise_rounds(concurrency: int, rounds: Sequence[_Round]) -> Throughput:
    latencies = [seconds for each in rounds for seconds in each.latencies]
    failures = [failure for each in rounds for failure in each.failures]
    if not latencies:
        raise BenchError(f"at concurrency {concurrency} none of {len(failures)} requests was answered: {failures[0]}")
    rate = median(len(each.latencies) / each.seconds for each in rounds)
    return Throughput(concurrency, round(rate, 3), Spread.of(latencies), len(failures), next(iter(failures), None))


def _summarise_stages(samples: Sequence[tuple[float, Answer]]) -> dict[str, Spread]:
    """Stages in the order of the service; ``elsewhere`` is what its clock does not see, the way there and back."""
    columns: dict[str, list[float]] = {}
    for seconds, answer in samples:
        stages = {name: ms / 1000 for name, ms in answer.timings_ms.items() if name != "total"}
        for name, value in {**stages, "elsewhere": max(seconds - sum(stages.values()), 0.0)}.items():
            columns.setdefault(name, []).append(value)
    return {name: Spread.of(values) for name, values in columns.items()}
