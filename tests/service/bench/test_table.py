"""The tables of a report: what was not measured leaves no trace, and what spoils a figure is said."""

from rich.console import Console

from service.bench.environment import Environment
from service.bench.load import Latencies, Throughput
from service.bench.plan import BenchPlan
from service.bench.report import Report
from service.bench.spread import Spread
from service.bench.table import render_report
from tests.service.bench.targets import SUBJECT, VIDEO

SPREAD = Spread.of([0.001, 0.003])


def test_what_was_not_measured_leaves_no_trace_and_what_spoils_a_figure_is_said() -> None:
    report = Report(
        environment=Environment("a CPU", 4, 2, 0.5, "linux", "3.11", {}, None),
        plan=BenchPlan(),
        subject=SUBJECT,
        latencies=Latencies(VIDEO.model_dump(), SPREAD, SPREAD, {"decode": SPREAD}, num_hits=1),
        throughput=(Throughput(4, 12.34, SPREAD, num_failed=3, first_failure="status 429 [bold]"),),
    )
    console = Console(record=True, width=100)
    console.print(render_report(report), highlight=False)
    assert [" ".join(line.split()) for line in console.export_text().splitlines()] == [
        "one request after another, ms",
        "p50 p90 p99 max mean",
        "new video 2.0 2.8 3.0 3.0 2.0",
        "decode 2.0 2.8 3.0 3.0 2.0",
        "known video 2.0 2.8 3.0 3.0 2.0",
        "new videos at the same time",
        "requests/s p50 ms p90 ms p99 ms max ms failed",
        "4 12.34 2.0 2.8 3.0 3.0 3",
        "4: status 429 [bold]",
        "side by side",
        "times",
        "new video / known video, p50 1.00",
        "tiny (vanilla, none), 1x1 views, 3 labels of shapes, in this process",
        "video: 4.0 s, 320 x 240, h264, 40 frames",
        "1 of 2 new videos were found in the cache of the service",
        "a CPU, 2 of 4 cores, load average 0.5 before",
    ]
