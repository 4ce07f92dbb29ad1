"""The plot of an ablation: ours with error bars, and beside it what the paper prints, each on its own scale."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from training.ablation.plan import Ablation
from training.ablation.results import VariantResult
from training.ablation.variants import PaperAccuracy
from training.evaluation.figures.style import BLUE, GREEN, PURPLE, VERMILION, save_figure

_PAPER: tuple[Callable[[VariantResult], PaperAccuracy], ...] = (
    lambda result: result.variant.hmdb51,
    lambda result: result.variant.ucf101,
)
_STYLES = ((BLUE, "o"), (VERMILION, "s"), (GREEN, "^"), (PURPLE, "D"))
_KEYS = ("HMDB51 solid, UCF101 dashed", "HMDB51 squares, UCF101 triangles")
# A value, its deviation, and where it stands.
Point = tuple[float, float, int]


def draw_plot(ablation: Ablation, results: Sequence[VariantResult], *, path: Path) -> None:
    """Draw fused top-1 of every variant in the order of the table, or over the table's axis."""
    has_paper = any(_paper_top1(result) for result in results)
    rows = 0 if ablation.table.axis else len(results)
    with matplotlib.rc_context({"font.size": 9}):
        figure = Figure(figsize=(10 if has_paper else 6.5, 1.4 + 0.4 * rows if rows else 4.2), layout="constrained")
        panels = figure.subplots(1, 2 if has_paper else 1, squeeze=False, sharey=bool(rows))[0].tolist()
        if rows:
            _draw_rows(panels, results)
        else:
            _draw_curves(panels, results, axis=ablation.table.axis)
        panels[0].set_title(f"ours: {ablation.data.name}, split {ablation.protocol.split}")
        for panel in panels[1:]:
            panel.set_title(f"the paper: {_KEYS[bool(rows)]}")
        for panel in panels:
            panel.grid(alpha=0.3)
        figure.suptitle(f"{ablation.table.title} ({ablation.table.source})")
    save_figure(figure, path)


def _draw_rows(panels: Sequence[Any], results: Sequence[VariantResult]) -> None:
    """Draw one line for each variant, the first on top."""
    _points(panels[0], _measured(results, at=_row_of(results)), style=0, upright=False)
    for panel in panels[1:]:
        for style, paper in enumerate(_PAPER, start=1):
            points = [(top1, 0.0, row) for row, each in enumerate(results) if (top1 := paper(each).top1) is not None]
            _points(panel, points, style=style, upright=False)
    panels[0].set_yticks(range(len(results)), [result.variant.title for result in results])
    panels[0].set_ylim(len(results) - 0.5, -0.5)
    for panel in panels:
        panel.set_xlabel("top-1, %")
    panels[0].set_xlabel("fused top-1, %: mean ± sample deviation, n = " + _counts(results))


def _draw_curves(panels: Sequence[Any], results: Sequence[VariantResult], *, axis: str) -> None:
    """Draw a curve for each series, in the same colour in both panels."""
    series = list(dict.fromkeys(result.variant.series for result in results))
    for style, name in enumerate(series):
        own = [result for result in results if result.variant.series == name]
        _points(panels[0], _measured(own, at=_position), style=style, label=name, upright=True)
        for panel in panels[1:]:
            for line, paper in zip(("-", "--"), _PAPER, strict=True):
                points = [(top1, 0.0, _position(each)) for each in own if (top1 := paper(each).top1) is not None]
                _points(panel, points, style=style, upright=True, line=line)
    for panel in panels:
        panel.set_xlabel(axis)
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


def _row_of(results: Sequence[VariantResult]) -> Callable[[VariantResult], int]:
    rows = {result.variant.name: row for row, result in enumerate(results)}
    return lambda result: rows[result.variant.name]


def _position(result: VariantResult) -> int:
    return result.variant.position


def _paper_top1(result: VariantResult) -> float | None:
    return result.variant.hmdb51.top1 or result.variant.ucf101.top1


def _counts(results: Sequence[VariantResult]) -> str:
    """Say how many seeds stand behind the points, as a number or a range."""
    counts = sorted({len(result.runs) for result in results})
    return str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
