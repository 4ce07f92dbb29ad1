"""A report as tables for a terminal."""

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from service.bench.report import Report
from service.bench.spread import Spread

_MEBIBYTE = 1 << 20


def render_report(report: Report) -> RenderableType:
    """Render everything that was measured, and below it what it was measured on."""
    return Group(*_render_parts(report))


def _render_parts(report: Report) -> Iterator[RenderableType]:
    yield _render_latencies(report)
    yield _render_throughput(report)
    # As texts, so that brackets in a name or a reason stay what they are.
    yield from (Text(f"{each.concurrency}: {each.first_failure}") for each in report.throughput if each.num_failed)
    if report.encode:
        yield _render_encoder(report)
    if report.labels:
        yield _render_labels(report)
    yield _render_ratios(report)
    yield Text("\n".join(_describe(report)))


def _render_latencies(report: Report) -> Table:
    table = _table("one request after another, ms", "", "p50", "p90", "p99", "max", "mean")
    rows = {"new video": report.latencies.new_video}
    rows |= {f"  {stage}": spread for stage, spread in report.latencies.stages.items()}
    for name, spread in {**rows, "known video": report.latencies.known_video}.items():
        table.add_row(name, *_spread(spread), f"{spread.mean_ms:.1f}")
    return table


def _render_throughput(report: Report) -> Table:
    table = _table("new videos at the same time", "", "requests/s", "p50 ms", "p90 ms", "p99 ms", "max ms", "failed")
    for each in report.throughput:
        rate = f"{each.requests_per_second:.2f}"
        table.add_row(str(each.concurrency), rate, *_spread(each.latency), str(each.num_failed))
    return table


def _render_encoder(report: Report) -> Table:
    table = _table("video encoder alone", "views", "ms", "views/s")
    for each in report.encode:
        table.add_row(str(each.num_views), f"{each.call_ms:.1f}", f"{each.views_per_second:.2f}")
    return table


def _render_labels(report: Report) -> Table:
    table = _table("label texts, ms", "", "labels", "first", "cold", "from disk", "from memory")
    for each in report.labels:
        times = (f"{value:.1f}" for value in (each.first_ms, each.cold_ms, each.disk_ms))
        table.add_row(each.language, str(each.num_labels), *times, f"{each.warm_ms:.3f}")
    return table


def _render_ratios(report: Report) -> Table:
    table = _table("side by side", "", "times")
    for name, value in report.ratios().items():
        table.add_row(name, f"{value:.2f}")
    return table


def _describe(report: Report) -> Iterator[str]:
    subject, environment, video = report.subject, report.environment, report.latencies.video
    asked = "its classes" if subject.label_set is None else subject.label_set
    yield (
        f"{subject.bundle} ({subject.method}, {subject.backbone}), {report.plan.views} views, "
        f"{subject.num_labels} labels of {asked}, {subject.url or 'in this process'}"
    )
    yield (
        f"video: {video['duration_seconds']:.1f} s, {video['width']} x {video['height']}, {video['codec']}, "
        f"{video['num_frames']} frames"
    )
    if num_hits := report.latencies.num_hits:
        yield f"{num_hits} of {report.latencies.new_video.num} new videos were found in the cache of the service"
    if report.start is not None:
        yield f"start until ready: {report.start.first_seconds:.1f} s; again: {report.start.again_seconds:.1f} s"
    if report.memory is not None:
        service, decoding = report.memory.service_bytes / _MEBIBYTE, report.memory.decoding_bytes / _MEBIBYTE
        yield f"peak memory: {service:.0f} MiB; decoding workers together: {decoding:.0f} MiB"
    if environment.options is not None:
        yield f"{environment.options.workers} decoding workers, video encoder in {environment.options.precision}"
    yield (
        f"{environment.cpu}, {environment.num_usable_cpus} of {environment.num_cpus} cores, load average "
        f"{environment.load_average:g} before"
    )


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=None, header_style="bold")
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left")
    return table


def _spread(spread: Spread) -> tuple[str, ...]:
    return tuple(f"{value:.1f}" for value in (spread.p50_ms, spread.p90_ms, spread.p99_ms, spread.max_ms))
