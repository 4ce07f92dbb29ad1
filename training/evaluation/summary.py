"""Summaries of several reports: the harmonic mean of base and novel, or the mean over data sets and splits."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from training.evaluation.protocols import Measured
from training.evaluation.report import Report, render_fusion
from training.files.texts import render_json, write_text

Rule = Literal["harmonic mean", "mean"]
PARTS_KEY = "parts"


@dataclass(frozen=True)
class CombinedAccuracy:
    """Accuracies of one reading over all parts, as shares; ``deviation`` is the sample deviation of top-1 among them.

    ``pairs`` is None: it is told of the parts alone.
    """

    reading: str
    fusion_lambda: float
    top1: float
    top5: float
    part_top1: tuple[float, ...]
    deviation: float | None
    pairs: None = None


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Reports of a protocol's parts and what they come to; its JSON has the keys that readers share with a report's."""

    protocol: str
    model: Measured
    rule: Rule
    parts: tuple[Report, ...]

    @property
    def accuracies(self) -> tuple[CombinedAccuracy, ...]:
        """Combine each reading that all parts have."""
        tables = [{each.reading: each for each in part.accuracies} for part in self.parts]
        return tuple(
            self._combine([table[reading] for table in tables])
            for reading in tables[0]
            if all(reading in table for table in tables)
        )

    def to_json(self) -> dict[str, Any]:
        """Return the summary as JSON values."""
        first = self.parts[0].to_json()
        shared = ("views", "num_frames", "fusion", "recipe", "seed", "hardware")
        return {
            "protocol": self.protocol,
            "model": self.model,
            "rule": self.rule,
            "split": " and ".join(dict.fromkeys(part.split for part in self.parts)),
            "num_videos": sum(part.num_videos for part in self.parts),
            **{key: first[key] for key in shared},
            "accuracies": [vars(each) | {"part_top1": list(each.part_top1)} for each in self.accuracies],
            PARTS_KEY: [part.to_json() for part in self.parts],
        }

    def _combine(self, parts: Sequence[Any]) -> CombinedAccuracy:
        mean, top1 = _MEANS[self.rule], tuple(each.top1 for each in parts)
        return CombinedAccuracy(
            reading=parts[0].reading,
            fusion_lambda=parts[0].fusion_lambda,
            top1=mean(top1),
            top5=mean([each.top5 for each in parts]),
            part_top1=top1,
            deviation=statistics.stdev(top1) if self.rule == "mean" and len(top1) > 1 else None,
        )


def harmonic_mean(values: Sequence[float]) -> float:
    """Average shares so that the lowest weighs most; 0 where one of them is 0."""
    return float(statistics.harmonic_mean(values))


def render_summary(summary: Summary) -> str:
    """Render a summary for people: a column for each part, and what they come to."""
    names = [f"{part.data}, {part.split} ({part.num_labels} labels)" for part in summary.parts]
    columns = ["labels read as", "lambda", *(f"top-1: {name}" for name in names), f"{summary.rule}: top-1", "top-5"]
    lines = [
        f"# {summary.protocol}",
        "",
        f"| {' | '.join(columns)} |",
        f"|{'---|' * len(columns)}",
        *(_row(each) for each in summary.accuracies),
        "",
        *render_fusion(summary.parts[0].fusion),
        *(f"- videos of {name}: {part.num_videos}" for name, part in zip(names, summary.parts, strict=True)),
        *(f"- {key.replace('_', ' ')}: {summary.to_json()[key]}" for key in ("model", "views", "recipe", "seed")),
    ]
    return "\n".join(lines) + "\n"


def write_summary(directory: Path, summary: Summary) -> None:
    """Write ``<protocol>.json`` and ``<protocol>.md``; each appears whole."""
    text = render_json(summary.to_json())
    write_text(directory / f"{summary.protocol}.json", text=text)
    write_text(directory / f"{summary.protocol}.md", text=render_summary(summary))


def _row(accuracy: CombinedAccuracy) -> str:
    spread = "" if accuracy.deviation is None else f" ± {accuracy.deviation:.1%}"
    cells = [
        accuracy.reading,
        f"{accuracy.fusion_lambda:g}",
        *(f"{share:.1%}" for share in accuracy.part_top1),
        f"{accuracy.top1:.1%}{spread}",
        f"{accuracy.top5:.1%}",
    ]
    return f"| {' | '.join(cells)} |"


_MEANS: Mapping[Rule, Callable[[Sequence[float]], float]] = MappingProxyType(
    {"harmonic mean": harmonic_mean, "mean": statistics.fmean}
)
