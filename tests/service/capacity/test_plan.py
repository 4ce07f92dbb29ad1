"""Queues behave as theory says where theory has an answer, and plans are the fewest machines that answer in time."""

import math
from dataclasses import replace

import pytest

from service.capacity.costs import CapacityError, StageCosts
from service.capacity.plan import Plan, Traffic, make_plan
from service.capacity.simulate import Load, Machines, least_machines, simulate

_COSTS = StageCosts(
    decode_fixed_ms=0.0,
    decode_ms_per_second=4.0,
    decode_spread=0.0,
    request_ms=1.0,
    score_ms_per_label=0.0,
    encode_ms=((1, 10.0), (4, 16.0)),
    label_ms=1.0,
)
_LOAD = Load(requests_per_second=10.0, video_seconds=10.0, num_labels=100)
_TRAFFIC = Traffic(video_bits_per_second=1e6, view_bytes=1_000_000)
_MANY = Machines(num_gateways=50, num_encoders=50)


def plan(load: Load = _LOAD, *, costs: StageCosts = _COSTS, limit_seconds: float = 0.5) -> Plan:
    return make_plan(load, costs=costs, traffic=_TRAFFIC, limit_seconds=limit_seconds)


def test_without_waiting_an_answer_takes_the_sum_of_its_stages() -> None:
    outcome = simulate(_LOAD, machines=_MANY, costs=_COSTS)
    assert outcome.p50_seconds == pytest.approx(0.040 + 0.010 + 0.001)
    assert outcome.gateway_wait_seconds == outcome.encoder_wait_seconds == 0


def test_one_server_waits_as_long_as_queueing_theory_says() -> None:
    """Pollaczek and Khinchine for constant service: at 3/4 of the time busy, 99 of 100 wait less than 7.6 services."""
    costs = replace(_COSTS, encode_ms=((1, 1e-6),), request_ms=0.0)
    load = replace(_LOAD, requests_per_second=18.75)
    machines = Machines(num_gateways=1, num_encoders=1, num_workers=1)
    outcome = simulate(load, machines=machines, costs=costs, num_requests=60_000)
    decay = 0.5 * 0.040 / (1 - 0.75)
    assert outcome.gateway_wait_seconds == pytest.approx(decay * math.log(0.75 / 0.01), rel=0.15)


def test_encoder_takes_what_waits_in_one_call() -> None:
    load = replace(_LOAD, requests_per_second=200.0)
    one_by_one = simulate(load, machines=Machines(num_gateways=50, num_encoders=1, max_views=1), costs=_COSTS)
    together = simulate(load, machines=Machines(num_gateways=50, num_encoders=1, max_views=4), costs=_COSTS)
    assert one_by_one.encoder_wait_seconds > 5
    assert together.encoder_wait_seconds < 0.1


def test_known_videos_are_neither_decoded_nor_encoded() -> None:
    outcome = simulate(replace(_LOAD, known_fraction=1.0), machines=_MANY, costs=_COSTS)
    assert outcome.p99_seconds == pytest.approx(0.001, abs=1e-4)


def test_new_labels_are_work_for_the_encoder() -> None:
    outcome = simulate(replace(_LOAD, new_label_fraction=0.5), machines=_MANY, costs=_COSTS)
    assert outcome.p50_seconds == pytest.approx(0.051 + 0.050)


def test_least_machines_have_a_fifth_of_their_time_to_spare() -> None:
    load = replace(_LOAD, requests_per_second=800.0)
    assert least_machines(load, costs=_COSTS, num_workers=4, max_views=4) == Machines(
        num_gateways=10, num_encoders=4, num_workers=4, max_views=4
    )


def test_own_thread_of_a_gateway_can_be_what_is_scarce() -> None:
    load = replace(_LOAD, num_labels=10_000)
    costs = replace(_COSTS, score_ms_per_label=0.02)
    assert least_machines(load, costs=costs, num_workers=4, max_views=4).num_gateways == 3


@pytest.mark.parametrize("requests_per_second", [75.0, 395.0])
def test_plan_has_machines_added_until_answers_come_in_time(requests_per_second: float) -> None:
    load = replace(_LOAD, requests_per_second=requests_per_second)
    least = least_machines(load, costs=_COSTS, num_workers=4, max_views=16)
    planned = plan(load, limit_seconds=0.08)
    assert simulate(load, machines=least, costs=_COSTS).p99_seconds > 0.08 >= planned.outcome.p99_seconds
    assert planned.outcome == simulate(load, machines=planned.machines, costs=_COSTS)


def test_plan_counts_what_crosses_the_network() -> None:
    planned = plan(replace(_LOAD, known_fraction=0.5, num_views=2))
    assert (planned.uploads_megabits_per_second, planned.views_megabits_per_second) == (100.0, 80.0)


@pytest.mark.parametrize(
    "loads",
    [
        [replace(_LOAD, requests_per_second=value) for value in (20.0, 60.0, 180.0)],
        [replace(_LOAD, video_seconds=value) for value in (20.0, 60.0, 180.0)],
    ],
    ids=["more requests", "longer videos"],
)
def test_more_work_never_needs_fewer_machines(loads: list[Load]) -> None:
    machines = [plan(load, limit_seconds=2.0).machines for load in loads]
    numbers = [each.num_gateways + each.num_encoders for each in machines]
    assert numbers == sorted(numbers)


def test_limit_that_one_request_alone_misses_is_refused() -> None:
    message = r"decoding and encoding take 0\.05 s without any waiting, the limit is 0\.04 s; raise it, or use a faster"
    with pytest.raises(CapacityError, match=message):
        plan(limit_seconds=0.04)


def test_load_that_a_thousand_machines_do_not_carry_is_refused() -> None:
    message = "machines do not answer 1e[+]06 requests a second within 0.5 s; raise the limit, or use a faster"
    with pytest.raises(CapacityError, match=message):
        plan(replace(_LOAD, requests_per_second=1e6))
