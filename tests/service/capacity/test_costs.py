"""Costs are read from reports of the bench, and what a report lacks is named."""

import json
import math
from pathlib import Path

import pytest

from service.capacity.costs import CapacityError, StageCosts, read_costs


def spread(p50_ms: float, *, p90_ms: float | None = None) -> dict[str, float]:
    return {"p50_ms": p50_ms, "p90_ms": p90_ms or p50_ms}


def write_report(path: Path, *, video_seconds: float = 10.0, decode_ms: float = 40.0, **changes: object) -> Path:
    stages = {"labels": spread(0.25), "score": spread(0.8), "elsewhere": spread(0.75), "encode": spread(9.0)}
    fields = {
        "subject": {"num_labels": 400},
        "latencies": {
            "video": {"duration_seconds": video_seconds},
            "stages": {**stages, "decode": spread(decode_ms, p90_ms=2 * decode_ms)},
        },
        "encode": [{"num_views": 4, "call_ms": 20.0}, {"num_views": 1, "call_ms": 8.0}],
        "labels": [{"num_labels": 100, "cold_ms": 50.0}, {"num_labels": 100, "cold_ms": 25.0}],
    }
    path.write_text(json.dumps({**fields, **changes}))
    return path


def test_costs_of_one_report(tmp_path: Path) -> None:
    costs = read_costs(write_report(tmp_path / "report.json"))
    assert costs == StageCosts(
        decode_fixed_ms=0.0,
        decode_ms_per_second=4.0,
        decode_spread=math.log(2) / 1.2815515655446004,
        request_ms=1.0,
        score_ms_per_label=0.002,
        encode_ms=((1, 8.0), (4, 20.0)),
        label_ms=0.75,
    )


def test_two_lengths_tell_what_a_second_of_video_costs(tmp_path: Path) -> None:
    short = write_report(tmp_path / "short.json", video_seconds=10.0, decode_ms=40.0)
    long = write_report(tmp_path / "long.json", video_seconds=60.0, decode_ms=90.0)
    costs = read_costs(short, long)
    assert (costs.decode_fixed_ms, costs.decode_ms_per_second) == pytest.approx((30.0, 1.0))
    assert costs.decode_seconds(120.0) == pytest.approx(0.15)


@pytest.mark.parametrize(
    ("decode_ms", "expected"),
    [(20.0, (30.0, 0.0)), (400.0, (0.0, 220 / 35))],
    ids=["longer is not cheaper", "nothing costs less than nothing"],
)
def test_noise_makes_no_cost_negative(tmp_path: Path, decode_ms: float, expected: tuple[float, float]) -> None:
    short = write_report(tmp_path / "short.json", video_seconds=10.0, decode_ms=40.0)
    costs = read_costs(short, write_report(tmp_path / "long.json", video_seconds=60.0, decode_ms=decode_ms))
    assert (costs.decode_fixed_ms, costs.decode_ms_per_second) == pytest.approx(expected)


@pytest.mark.parametrize(("num_views", "seconds"), [(1, 0.008), (2, 0.012), (4, 0.020), (16, 0.068)])
def test_calls_between_and_beyond_what_was_measured(tmp_path: Path, num_views: int, seconds: float) -> None:
    assert read_costs(write_report(tmp_path / "r.json")).encode_seconds(num_views) == pytest.approx(seconds)


@pytest.mark.parametrize(("num_views", "seconds"), [(1, 0.005), (2, 0.010), (8, 0.040)])
def test_calls_where_one_size_was_measured(tmp_path: Path, num_views: int, seconds: float) -> None:
    report = write_report(tmp_path / "r.json", encode=[{"num_views": 2, "call_ms": 10.0}])
    assert read_costs(report).encode_seconds(num_views) == pytest.approx(seconds)


def test_another_encoder_replaces_its_part_alone(tmp_path: Path) -> None:
    costs = read_costs(write_report(tmp_path / "r.json"))
    (tmp_path / "gpu.json").write_text('{"encode": [{"num_views": 8, "call_ms": 4.0}]}')
    faster = costs.with_encoder(tmp_path / "gpu.json")
    assert (faster.encode_ms, faster.label_ms, faster.request_ms) == (((8, 4.0),), 0.75, 1.0)


def test_report_that_lacks_a_field_is_named(tmp_path: Path) -> None:
    path = write_report(tmp_path / "r.json", encode=[])
    with pytest.raises(
        CapacityError, match=r"report '.*r\.json' is none that `duoact bench` makes: encode: Tuple should"
    ):
        read_costs(path)


def test_text_that_is_no_report_is_named(tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text("p50")
    with pytest.raises(CapacityError, match=r"report '.*r\.json' is none that .* makes: the file: Invalid JSON"):
        read_costs(tmp_path / "r.json")


def test_missing_report_is_named(tmp_path: Path) -> None:
    with pytest.raises(CapacityError, match=r"report '.*none\.json' cannot be read: No such file"):
        read_costs(tmp_path / "none.json")


def test_no_report_at_all_is_refused() -> None:
    with pytest.raises(CapacityError, match="no report of costs is given; make one with `duoact bench"):
        read_costs()
