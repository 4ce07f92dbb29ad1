"""The plot of an ablation: ours with error bars, and beside it what the paper prints, each on its own scale."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from training.evaluation.figures.style import BLUE, GREEN, PURPLE, VERMILION, save_figure
from training.studies.ablation.plan import Ablation
from training.studies.ablation.results import VariantResult
from training.studies.ablation.variants import Table

_STYLES = ((BLUE, "o"), (VERMILION, "s"), (GREEN, "^"), (PURPLE, "D"))
# How the paper's data sets are told apart: curves by lines, rows by the markers of ``_STYLES`` from the second on.
_LINES: Mapping[str, str] = MappingProxyType({"solid": "-", "dashed": "--"})
_MARKERS = ("squares", "triangles")
# A value, its deviation, and where it stands.
Point = tuple[float, float, int]


def draw_plot(ablation: Ablation, results: Sequence[VariantResult], *, path: Path) -> None:
    """Draw fused top-1 of every variant in the order of the table, or over the table's axis."""
    data_sets = ablation.table.data_sets
    has_paper = any(_paper_top1(result, data_set=each) is not None for result in results for each in data_sets)
    rows = 0 if ablation.table.axis else len(results)
    with matplotlib.rc_context({"font.size": 9}):
        figure = Figure(figsize=(10 if has_paper else 6.5, 1.4 + 0.4 * rows if rows else 4.2), layout="constrained")
        panels = figure.subplots(1, 2 if has_paper else 1, squeeze=False, sharey=bool(rows))[0].tolist()
        if rows:
            _draw_rows(panels, results, data_sets=data_sets)
        else:
            _draw_curves(panels, results, table=ablation.table)
        panels[0].set_title(f"ours: {ablation.data.name}, split {ablation.protocol.split}")
        for panel in panels[1:]:
            panel.set_title(f"the paper: {_render_key(data_sets, names=_MARKERS if rows else tuple(_LINES))}")
        for panel in panels:
            panel.grid(alpha=0.3)
        figure.suptitle(f"{ablation.table.title} ({ablation.table.source})")
    save_figure(figure, path)


def _draw_rows(panels: Sequence[Any], results: Sequence[VariantResult], *, data_sets: Sequence[str]) -> None:
    """Draw one line for each variant, the first on top."""
    _points(panels[0], _measured(results, at=_row_of(results)), style=0, upright=False)
    for panel in panels[1:]:
        for style, data_set in enumerate(data_sets, start=1):
            _points(panel, _published(results, data_set=data_set, at=_row_of(results)), style=style, upright=False)
    panels[0].set_yticks(range(len(results)), [result.variant.title for result in results])
    panels[0].set_ylim(len(results) - 0.5, -0.5)
    for panel in panels:
        panel.set_xlabel("top-1, %")
    panels[0].set_xlabel("fused top-1, %: mean ± sample deviation, n = " + _counts(results))


def _draw_curves(panels: Sequence[Any], results: Sequence[VariantResult], *, table: Table) -> None:
    """Draw a curve for each series, in the same colour in both panels."""
    series = list(dict.fromkeys(result.variant.series for result in results))
    for style, name in enumerate(series):
        own = [result for result in results if result.variant.series == name]
        _points(panels[0], _measured(own, at=_position), style=style, label=name, upright=True)
        for panel in panels[1:]:
            for line, data_set in zip(_LINES.values(), table.data_sets, strict=False):
                points = _published(own, data_set=data_set, at=_position)
                _points(panel, points, style=style, upright=True, line=line)
    for panel in panels:
        panel.set_xlabel(table.axis)
        panel.set_xticks(sorted({_position(result) for result in results}))
        panel.set_ylabel("top-1, %")
    panels[0].set_ylabel("fused top-1, %: mean ± deviation, n = " + _counts(results))
    if any(series):
        panels[0].legend(fontsize=8)


def _points(
    panel: Any,  # noqa: ANN401
    points: Sequence[Point],
    *,
    style: int,
    upright: bool,
    line: str = "-",
    label: str = "",
) -> None:
    if not points:
        return
    values, deviations, places = zip(*points, strict=True)
    colour, marker = _STYLES[style % len(_STYLES)]
    shared = {"color": colour, "marker": marker, "capsize": 3, "label": label}
    if upright:
        panel.errorbar(places, values, yerr=deviations, linestyle=line, **shared)
    else:
        panel.errorbar(values, places, xerr=deviations, linestyle="none", **shared)


def _measured(results: Sequence[VariantResult], *, at: Callable[[VariantResult], int]) -> list[Point]:
    points: list[Point] = []
    for result in results:
        spread = result.accuracy("fused", measure="top1")
        if spread is not None:
            points.append((spread.mean * 100, (spread.deviation or 0.0) * 100, at(result)))
    return points


def _published(results: Sequence[VariantResult], *, data_set: str, at: Callable[[VariantResult], int]) -> list[Point]:
    return [(top1, 0.0, at(each)) for each in results if (top1 := _paper_top1(each, data_set=data_set)) is not None]


def _row_of(results: Sequence[VariantResult]) -> Callable[[VariantResult], int]:
    rows = {result.variant.name: row for row, result in enumerate(results)}
    return lambda result: rows[result.variant.name]


def _position(result: VariantResult) -> int:
    return result.variant.position


def _paper_top1(result: VariantResult, *, data_set: str) -> float | None:
    return result.variant.paper_accuracy(data_set).top1


def _render_key(data_sets: Sequence[str], *, names: Sequence[str]) -> str:
    """Say how the data sets are told apart, where there are several."""
    if len(data_sets) == 1:
        return data_sets[0]
    return ", ".join(f"{data_set} {name}" for data_set, name in zip(data_sets, names, strict=True))


def _counts(results: Sequence[VariantResult]) -> str:
    """Say how many seeds stand behind the points, as a number or a range."""
    counts = sorted({len(result.runs) for result in results})
    return str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
