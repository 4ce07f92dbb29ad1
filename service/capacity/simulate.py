"""Requests that come at random and wait for decoding, for an encoder and for the gateway's own thread.

Three queues, one behind the other, each first come, first served: decoding processes; encoders that take what waits in
one call, up to a number of views; and one thread a gateway. A proxy that knows the shortest queue, as ``leastconn``
nearly does, makes many gateways one queue.
"""

import heapq
import itertools
import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from service.capacity.costs import StageCosts

# A simulation is too short to show how queues grow where there is less to spare.
_BUSIEST = 0.8


@dataclass(frozen=True, kw_only=True)
class Load:
    """What is asked.

    Args:
        requests_per_second: on average; requests come independently of each other.
        video_seconds: length of a video.
        num_labels: labels of a request.
        num_views: views of a request, in one call of the encoder.
        known_fraction: part of the requests whose video's features are in a gateway's cache.
        new_label_fraction: part of a request's labels that no label bank knows.
    """

    requests_per_second: float
    video_seconds: float
    num_labels: int
    num_views: int = 1
    known_fraction: float = 0.0
    new_label_fraction: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Machines:
    """What answers; a gateway decodes ``num_workers`` videos at the same time."""

    num_gateways: int
    num_encoders: int
    num_workers: int = 4
    max_views: int = 16


@dataclass(frozen=True)
class Outcome:
    """What a simulation saw: seconds from a request to its answer, and seconds of waiting for either machine."""

    p50_seconds: float
    p99_seconds: float
    gateway_wait_seconds: float
    encoder_wait_seconds: float


@dataclass(frozen=True)
class _Passage:
    """Requests that leave a queue: when, and how long they waited."""

    ready: Float[np.ndarray, " R"]
    waited: Float[np.ndarray, " R"]


def simulate(load: Load, *, machines: Machines, costs: StageCosts, num_requests: int = 4000, seed: int = 0) -> Outcome:
    """Send requests through the queues; the first tenth, which finds them empty, does not count."""
    rng = np.random.default_rng(seed)
    arrivals = np.cumsum(rng.exponential(1 / load.requests_per_second, num_requests))
    is_known = rng.random(num_requests) < load.known_fraction
    noise = np.exp(costs.decode_spread * rng.standard_normal(num_requests))
    decode = np.where(is_known, 0.0, costs.decode_seconds(load.video_seconds) * noise)
    decoded = _serve(arrivals, decode, num_servers=machines.num_gateways * machines.num_workers)
    encoded = _encode(decoded.ready, is_known, load=load, machines=machines, costs=costs)
    own = np.full(num_requests, gateway_seconds(load, costs=costs))
    scored = _serve(encoded.ready, own, num_servers=machines.num_gateways)
    counted = slice(num_requests // 10, None)
    taken = (scored.ready - arrivals)[counted]
    return Outcome(
        p50_seconds=float(np.quantile(taken, 0.5)),
        p99_seconds=float(np.quantile(taken, 0.99)),
        gateway_wait_seconds=float(np.quantile((decoded.waited + scored.waited)[counted], 0.99)),
        encoder_wait_seconds=float(np.quantile(encoded.waited[counted], 0.99)),
    )


def gateway_seconds(load: Load, *, costs: StageCosts) -> float:
    """Seconds of a gateway's own thread for one request."""
    return (costs.request_ms + costs.score_ms_per_label * load.num_labels) / 1000


def label_seconds(load: Load, *, costs: StageCosts) -> float:
    """Seconds of an encoder for the labels of one request that are new."""
    return costs.label_ms * load.num_labels * load.new_label_fraction / 1000


def _serve(ready: Float[np.ndarray, " R"], seconds: Float[np.ndarray, " R"], *, num_servers: int) -> _Passage:
    """First come, first served; a request that needs no time does not wait."""
    free = [0.0] * num_servers
    ends, waited = ready.copy(), np.zeros_like(ready)
    for index in np.argsort(ready, kind="stable"):
        if seconds[index] > 0:
            began = max(float(ready[index]), heapq.heappop(free))
            ends[index], waited[index] = began + seconds[index], began - ready[index]
            heapq.heappush(free, float(ends[index]))
    return _Passage(ends, waited)


def _encode(
    ready: Float[np.ndarray, " R"],
    is_known: Bool[np.ndarray, " R"],
    *,
    load: Load,
    machines: Machines,
    costs: StageCosts,
) -> _Passage:
    """Encoders that take, whenever one is free, what waits by then, up to the views of one call."""
    at_once = max(machines.max_views // load.num_views, 1)
    labels = label_seconds(load, costs=costs)
    free = [0.0] * machines.num_encoders
    ends, waited = ready.copy(), np.zeros_like(ready)
    order = [int(index) for index in np.argsort(ready, kind="stable") if labels > 0 or not is_known[index]]
    position = 0
    while position < len(order):
        began = max(float(ready[order[position]]), heapq.heappop(free))
        waiting = itertools.takewhile(lambda index: ready[index] <= began, order[position : position + at_once])  # noqa: B023
        batch = list(waiting)
        num_new = sum(not is_known[index] for index in batch)
        seconds = len(batch) * labels + (costs.encode_seconds(num_new * load.num_views) if num_new else 0.0)
        ends[batch], waited[batch] = began + seconds, began - ready[batch]
        heapq.heappush(free, began + seconds)
        position += len(batch)
    return _Passage(ends, waited)


def least_machines(load: Load, *, costs: StageCosts, num_workers: int, max_views: int) -> Machines:
    """The fewest machines of which none is busy for more than four fifths of the time."""
    new = load.requests_per_second * (1 - load.known_fraction)
    decoding = new * costs.decode_seconds(load.video_seconds) * math.exp(costs.decode_spread**2 / 2)
    own = load.requests_per_second * gateway_seconds(load, costs=costs)
    at_once = max(max_views // load.num_views, 1)
    call = min(costs.encode_seconds(num * load.num_views) / num for num in range(1, at_once + 1))
    encoding = new * call + load.requests_per_second * label_seconds(load, costs=costs)
    return Machines(
        num_gateways=max(math.ceil(max(decoding / num_workers, own) / _BUSIEST), 1),
        num_encoders=max(math.ceil(encoding / _BUSIEST), 1),
        num_workers=num_workers,
        max_views=max_views,
    )
