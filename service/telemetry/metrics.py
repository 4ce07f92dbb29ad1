"""Prometheus metrics: seconds and counts, with label values from closed sets only, so that memory stays bounded."""

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Metrics:
    """The service's metrics in a registry of their own, so that two applications can live in one process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Histogram(
            "duoact_request_duration_seconds",
            "Time from the first byte of a request to the last of its answer.",
            ("route", "status"),
            registry=self._registry,
            buckets=_SECONDS,
        )
        self._stages = Histogram(
            "duoact_stage_duration_seconds",
            "Time of one stage of a recognition.",
            ("stage",),
            registry=self._registry,
            buckets=_SECONDS,
        )
        self._errors = Counter("duoact_errors", "Refused or failed requests.", ("type",), registry=self._registry)
        self._video_cache = Counter(
            "duoact_video_cache_lookups", "Lookups of frame features.", ("result",), registry=self._registry
        )
        self._label_cache = Counter(
            "duoact_label_cache_lookups", "Lookups of label embeddings.", ("result",), registry=self._registry
        )

    def watch(self, name: str, *, description: str, value: Callable[[], float]) -> None:
        """Add a gauge ``duoact_<name>`` that reads its value when it is scraped."""
        Gauge(f"duoact_{name}", description, registry=self._registry).set_function(value)

    def watch_counts(self, name: str, *, description: str, counts: Mapping[str, int]) -> None:
        """Add a counter ``duoact_<name>`` by result that reads its values when it is scraped."""
        self._registry.register(_WatchedCounts(f"duoact_{name}", description=description, counts=counts))

    def count_request(self, route: str, *, status: int, seconds: float) -> None:
        """Record one finished request; ``route`` is the route's template, never the path that was asked for."""
        self._requests.labels(route, str(status)).observe(seconds)

    def count_error(self, error_type: str) -> None:
        """Record one refused or failed request by its problem type."""
        self._errors.labels(error_type).inc()

    def count_stages(self, seconds: Mapping[str, float]) -> None:
        """Record the stages of one answered recognition."""
        for stage, duration in seconds.items():
            self._stages.labels(stage).observe(duration)

    def count_cache(self, *, video_hit: bool, label_hits: int, label_misses: int) -> None:
        """Record what the caches saved one recognition."""
        self._video_cache.labels("hit" if video_hit else "miss").inc()
        self._label_cache.labels("hit").inc(label_hits)
        self._label_cache.labels("miss").inc(label_misses)

    def render(self) -> bytes:
        """Render everything in the Prometheus text format."""
        return generate_latest(self._registry)


class _WatchedCounts(Collector):
    """A counter whose values somebody else keeps."""

    def __init__(self, name: str, *, description: str, counts: Mapping[str, int]) -> None:
        self._name = name
        self._description = description
        self._counts = counts

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Read the values."""
        family = CounterMetricFamily(self._name, self._description, labels=("result",))
        for result, count in self._counts.items():
            family.add_metric((result,), count)
        yield family
