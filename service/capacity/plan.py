"""The search for the fewest machines that answer in time, and what crosses the network then."""

from dataclasses import asdict, dataclass, replace

from service.capacity.costs import CapacityError, StageCosts
from service.capacity.simulate import Load, Machines, Outcome, least_machines, simulate

# Beyond this, what is wanted is another encoder, not another hundred of this one.
_MAX_MACHINES = 1000


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """Bits of one second of video as it is uploaded, and bytes of one view on its way to an encoder."""

    video_bits_per_second: float
    view_bytes: int


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Machines that carry a load, and what they see of it; network in megabits a second, all gateways together."""

    machines: Machines
    outcome: Outcome
    uploads_megabits_per_second: float
    views_megabits_per_second: float

    def to_dict(self) -> dict[str, object]:
        """Everything as values that JSON has."""
        return asdict(self)


def make_plan(
    load: Load, *, costs: StageCosts, traffic: Traffic, limit_seconds: float, num_workers: int = 4, max_views: int = 16
) -> Plan:
    """Add machines where requests wait longest, until 99 of 100 answers come within the limit.

    Raises:
        CapacityError: an answer without any waiting takes longer, or a thousand machines are not enough.
    """
    alone = costs.decode_seconds(load.video_seconds) + costs.encode_seconds(load.num_views)
    if load.known_fraction < 1 and alone > limit_seconds:
        raise CapacityError(
            f"decoding and encoding take {alone:.3g} s without any waiting, the limit is {limit_seconds:g} s; "
            "raise it, or use a faster encoder"
        )
    machines = least_machines(load, costs=costs, num_workers=num_workers, max_views=max_views)
    while (num := max(machines.num_gateways, machines.num_encoders)) <= _MAX_MACHINES:
        outcome = simulate(load, machines=machines, costs=costs)
        if outcome.p99_seconds <= limit_seconds:
            return _describe(load, machines=machines, outcome=outcome, traffic=traffic)
        machines = _add(machines, outcome=outcome)
    raise CapacityError(
        f"{num} machines do not answer {load.requests_per_second:g} requests a second within {limit_seconds:g} s; "
        "raise the limit, or use a faster encoder"
    )


def _add(machines: Machines, *, outcome: Outcome) -> Machines:
    """One machine more, or a twentieth more where there are many."""
    if outcome.gateway_wait_seconds > outcome.encoder_wait_seconds:
        return replace(machines, num_gateways=machines.num_gateways + 1 + machines.num_gateways // 20)
    return replace(machines, num_encoders=machines.num_encoders + 1 + machines.num_encoders // 20)


def _describe(load: Load, *, machines: Machines, outcome: Outcome, traffic: Traffic) -> Plan:
    new_views = load.requests_per_second * (1 - load.known_fraction) * load.num_views
    return Plan(
        machines=machines,
        outcome=outcome,
        uploads_megabits_per_second=load.requests_per_second * load.video_seconds * traffic.video_bits_per_second / 1e6,
        views_megabits_per_second=new_views * traffic.view_bytes * 8 / 1e6,
    )
