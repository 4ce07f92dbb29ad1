"""What the runs of an ablation folder measured, put together over seeds; how it reads is in ``report`` and ``plot``."""

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.runs.curves import read_records
from training.studies.ablation.plan import Ablation, place_run
from training.studies.ablation.runner import CARD_NAME, FAILURE_NAME, evaluation_path
from training.studies.ablation.variants import Variant

READINGS = ("English", "Chinese", "fused")


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation, which a single value does not have."""

    mean: float
    deviation: float | None

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread | None":
        """Summarise values; None where there is none."""
        if not values:
            return None
        return cls(statistics.mean(values), statistics.stdev(values) if len(values) > 1 else None)


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """One finished run: its evaluation and model card as they were written, and its median step time, if it trained."""

    seed: int
    evaluation: dict[str, Any]
    card: dict[str, Any]
    step_seconds: float | None

    def accuracy(self, reading: str, *, measure: str) -> float | None:
        """Look up an accuracy as a share.

        "fused" is what the service uses: without a Chinese branch, English alone, and of closed classes their scores.
        """
        found = self._find(reading)
        return None if found is None else found[measure]

    @property
    def part_top1(self) -> list[float]:
        """Fused top-1 of each part of the protocol; nothing where it has but one."""
        found = self._find("fused")
        return [] if found is None else found.get("part_top1", [])

    @property
    def is_closed(self) -> bool:
        """Whether classes were scored, so that no languages could be fused."""
        return self.evaluation["fusion"] is None

    def _find(self, reading: str) -> dict[str, Any] | None:
        accuracies: list[dict[str, Any]] = self.evaluation["accuracies"]
        if reading == "fused":
            return accuracies[-1]
        return next((each for each in accuracies if each["reading"] == reading), None)


@dataclass(frozen=True, kw_only=True)
class VariantResult:
    """All that is known of one variant; ``failures`` holds a sentence by seed."""

    variant: Variant
    runs: tuple[RunResult, ...]
    failures: Mapping[int, str]

    @property
    def seeds(self) -> tuple[int, ...]:
        """Seeds of the finished runs."""
        return tuple(run.seed for run in self.runs)

    def accuracy(self, reading: str, *, measure: str) -> Spread | None:
        """Summarise an accuracy over seeds; None where the model has no such reading."""
        values = [run.accuracy(reading, measure=measure) for run in self.runs]
        return Spread.of([value for value in values if value is not None])

    @property
    def step_seconds(self) -> Spread | None:
        """Time of a training step: the median of each run, summarised over seeds."""
        return Spread.of([run.step_seconds for run in self.runs if run.step_seconds is not None])

    @property
    def part_top1(self) -> tuple[Spread, ...]:
        """Summarise fused top-1 of each part of the protocol over seeds."""
        columns = zip(*(run.part_top1 for run in self.runs), strict=True)
        return tuple(spread for column in columns if (spread := Spread.of(column)) is not None)


def collect_results(ablation: Ablation) -> tuple[VariantResult, ...]:
    """Read what is there of every variant, in the order of the table."""
    return tuple(_collect_variant(ablation, variant) for variant in ablation.table.variants)


def _collect_variant(ablation: Ablation, variant: Variant) -> VariantResult:
    runs: list[RunResult] = []
    failures: dict[int, str] = {}
    folders = (ablation.directory / variant.name).glob("seed*")
    for seed in sorted(int(folder.name.removeprefix("seed")) for folder in folders):
        run = place_run(ablation, variant=variant, seed=seed)
        failure = run.directory / FAILURE_NAME
        if failure.is_file():
            failures[seed] = failure.read_text(encoding="utf-8").splitlines()[0]
        elif (path := evaluation_path(ablation, run)).is_file():
            runs.append(
                RunResult(
                    seed=seed,
                    evaluation=_read(path),
                    card=_read(run.directory / CARD_NAME),
                    step_seconds=_median([record.step_seconds for record in read_records(run.directory)]),
                )
            )
    return VariantResult(variant=variant, runs=tuple(runs), failures=failures)


def _median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None


def _read(path: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return values
