"""What was measured, as records and as JSON. How it is measured lives beside this module, how it looks in ``table``."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from service.bench.encode import EncodeCost
from service.bench.environment import Environment
from service.bench.labels import LabelCost
from service.bench.load import Latencies, Throughput
from service.bench.memory import PeakMemory
from service.bench.plan import BenchError, BenchPlan
from service.bench.start import StartCost
from service.bench.target import Subject
from service.contract.files import write_whole


@dataclass(frozen=True, kw_only=True)
class Report:
    """One run; what cannot be measured from outside a service, or does not exist in it, is None or empty."""

    environment: Environment
    plan: BenchPlan
    subject: Subject
    latencies: Latencies
    throughput: tuple[Throughput, ...]
    start: StartCost | None = None
    encode: tuple[EncodeCost, ...] = ()
    labels: tuple[LabelCost, ...] = ()
    memory: PeakMemory | None = None

    def ratios(self) -> dict[str, float]:
        """Compare what was measured side by side: the first of each pair over the second."""
        first, *others = self.throughput
        pairs = {
            "new video / known video, p50": (self.latencies.new_video.p50_ms, self.latencies.known_video.p50_ms),
            **{
                f"requests per second at {each.concurrency} / at {first.concurrency}": (
                    each.requests_per_second,
                    first.requests_per_second,
                )
                for each in others
            },
            **{
                f"views per second in batches of {each.num_views} / of {self.encode[0].num_views}": (
                    each.views_per_second,
                    self.encode[0].views_per_second,
                )
                for each in self.encode[1:]
            },
            **{f"labels cold / warm, {each.language}": (each.cold_ms, each.warm_ms) for each in self.labels},
        }
        if self.start is not None:
            pairs["first start / start again"] = (self.start.first_seconds, self.start.again_seconds)
        return {name: round(one / other, 3) for name, (one, other) in pairs.items()}

    def to_json(self) -> str:
        """Render the report as JSON text."""
        return json.dumps({**asdict(self), "ratios": self.ratios()}, indent=2, ensure_ascii=False) + "\n"


def check_writable(path: Path | None) -> None:
    """Refuse a place where no report can be written, before anything is measured.

    Raises:
        BenchError: there is no such folder, or it may not be written to.
    """
    if path is not None and (path.is_dir() or not os.access(path.parent, os.W_OK)):
        raise BenchError(f"--out is {str(path)!r}; give a file in a folder that exists and can be written to")


def write_report(path: Path | None, *, text: str) -> None:
    """Write a report whole or not at all; nowhere where there is no path."""
    if path is None:
        return
    with write_whole(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")
