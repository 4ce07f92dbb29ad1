"""Reports of an ablation: JSON and Markdown with the paper's figures beside ours; the plot is drawn in ``plot``.

A report is made anew from what the runs left, so any process may write it at any time.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table as Grid

from training.evaluation.evaluate import Settings
from training.files.locks import waiting_lock
from training.files.texts import render_json, write_text
from training.studies.ablation.plan import Ablation
from training.studies.ablation.plot import draw_plot
from training.studies.ablation.results import READINGS, Spread, VariantResult, collect_results
from training.studies.ablation.variants import PaperAccuracy

REPORT_NAME = "report"
_COLUMNS = (
    "variant",
    "seeds",
    "English top-1",
    "top-5",
    "Chinese top-1",
    "top-5",
    "fused top-1",
    "top-5",
    "pairs",
    "lambda",
    "trainable",
    "GMACs",
    "ms/step",
)
_NOTHING = "–"
_LEGEND = (
    "Accuracies are percentages, mean ± sample standard deviation over seeds. Fused is what the service uses: without "
    "a Chinese branch, English alone. Pairs is the share of videos whose fused score is above that of the label played "
    "backwards (chance 50). Step times are medians on a machine that may have had other work. The paper's figures are "
    "top-1 / top-5 on other data with CLIP ViT-B/16: they say in which order and how far apart its variants lie, not "
    "what ours should reach."
)
_CLOSED_LEGEND = "A closed set of classes is read in no language: its top-1 and top-5 stand under fused."


def write_report(ablation: Ablation) -> None:
    """Write ``report.json``, ``report.md`` and ``report.png`` from what is there; each appears whole."""
    with waiting_lock(ablation.lock):
        results = collect_results(ablation)
        values = describe_results(ablation, results)
        write_text(ablation.directory / f"{REPORT_NAME}.json", text=render_json(values))
        write_text(ablation.directory / f"{REPORT_NAME}.md", text=render_markdown(ablation, results))
        draw_plot(ablation, results, path=ablation.directory / f"{REPORT_NAME}.png")


def describe_results(ablation: Ablation, results: Sequence[VariantResult]) -> dict[str, Any]:
    """Return a report as JSON values; accuracies are shares, the paper's are percent."""
    return {
        "table": ablation.table.name,
        "source": ablation.table.source,
        "title": ablation.table.title,
        "note": ablation.table.note,
        "circumstances": dict(_circumstances(ablation, results)),
        "variants": [_describe_variant(result, data_sets=ablation.table.data_sets) for result in results],
    }


def render_markdown(ablation: Ablation, results: Sequence[VariantResult]) -> str:
    """Render a report for people: percentages as mean ± sample standard deviation over seeds."""
    table = ablation.table
    columns = (*_COLUMNS, *(f"paper {data_set}" for data_set in table.data_sets))
    is_closed = any(run.is_closed for result in results for run in result.runs)
    lines = [
        f"# {table.title} ({table.source})",
        "",
        *(f"- {key}: {value}" for key, value in _circumstances(ablation, results)),
        "",
        f"| {' | '.join(columns)} |",
        f"|{'---|' * len(columns)}",
        *(f"| {' | '.join(_cells(result, data_sets=table.data_sets))} |" for result in results),
        *_parts(ablation, results),
        "",
        _LEGEND,
        *(["", _CLOSED_LEGEND] if is_closed else []),
        *(["", table.note] if table.note else []),
        *_failures(results),
    ]
    return "\n".join(lines) + "\n"


def render_summary(ablation: Ablation) -> Grid:
    """Render top-1 of what is there as a table that fits a terminal."""
    table = ablation.table
    grid = Grid("variant", "seeds", *READINGS, *table.data_sets, title=f"top-1, %: {table.title} ({table.source})")
    for result in collect_results(ablation):
        seeds = ", ".join(map(str, result.seeds)) or _NOTHING
        own = [_render(result.accuracy(name, measure="top1"), factor=100, digits=1) for name in READINGS]
        paper = [result.variant.paper_accuracy(each).top1 for each in table.data_sets]
        grid.add_row(result.variant.name, seeds, *own, *(_NOTHING if each is None else str(each) for each in paper))
    return grid


def _circumstances(ablation: Ablation, results: Sequence[VariantResult]) -> Iterator[tuple[str, str]]:
    """List what a reader needs to make the figures again."""
    evaluations = [run.evaluation for result in results for run in result.runs]
    yield "data", f"{ablation.data.name} ({len(ablation.data.labels)} labels, digest {ablation.data.digest[:12]})"
    yield "protocol", f"{ablation.protocol.name}, split {ablation.protocol.splits}"
    if evaluations:
        yield "videos", str(evaluations[0]["num_videos"])
        yield "views", str(evaluations[0]["views"])
    recipe = ablation.recipe
    changes = f" with {', '.join(ablation.settings)}" if ablation.settings else ""
    yield "recipe", f"{recipe.name}{changes}; the variants change it further"
    yield "training", f"{recipe.fit.num_epochs} epochs, batch {recipe.fit.batch_size}, split {recipe.train_split}"
    seeds = sorted({seed for result in results for seed in result.seeds})
    yield "seeds", ", ".join(map(str, seeds)) or _NOTHING
    select_on = Settings().select_on
    yield "lambda", f"for each run the best top-1 on split {select_on} in steps of 0.05; 1 without a Chinese branch"
    if evaluations:
        yield "hardware", "; ".join(sorted({each["hardware"] for each in evaluations}))


def _describe_variant(result: VariantResult, *, data_sets: Sequence[str]) -> dict[str, Any]:
    accuracies = {
        f"{reading}_{measure}": result.accuracy(reading, measure=measure)
        for reading in READINGS
        for measure in ("top1", "top5", "pairs")
    }
    card = result.runs[0].card if result.runs else {}
    return {
        "name": result.variant.name,
        "title": result.variant.title,
        "seeds": list(result.seeds),
        "accuracies": {name.lower(): spread and asdict(spread) for name, spread in accuracies.items()},
        "fusion": [run.evaluation["fusion"] for run in result.runs],
        "trainable_parameters": card.get("trainable_parameters"),
        "gmacs_per_view": card.get("gmacs_per_view"),
        "step_seconds": result.step_seconds and asdict(result.step_seconds),
        "part_top1": [asdict(spread) for spread in result.part_top1],
        "paper": {each.lower(): asdict(result.variant.paper_accuracy(each)) for each in data_sets},
        "failures": {str(seed): sentence for seed, sentence in result.failures.items()},
    }


def _cells(result: VariantResult, *, data_sets: Sequence[str]) -> Iterator[str]:
    yield result.variant.title
    yield ", ".join(map(str, result.seeds)) or _NOTHING
    for reading in READINGS:
        for measure in ("top1", "top5"):
            yield _render(result.accuracy(reading, measure=measure), factor=100, digits=1)
    yield _render(result.accuracy("fused", measure="pairs"), factor=100, digits=1)
    fusions = [run.evaluation["fusion"] for run in result.runs]
    yield ", ".join(f"{fusion['value']:g}" for fusion in fusions if fusion is not None) or _NOTHING
    yield f"{result.runs[0].card['trainable_parameters']:,}" if result.runs else _NOTHING
    yield f"{result.runs[0].card['gmacs_per_view']:g}" if result.runs else _NOTHING
    yield _render(result.step_seconds, factor=1000, digits=0)
    for data_set in data_sets:
        yield _render_paper(result.variant.paper_accuracy(data_set))


def _parts(ablation: Ablation, results: Sequence[VariantResult]) -> list[str]:
    """Tell what the mean of a protocol of several parts is made of."""
    if ablation.protocol.novel_split is None:
        return []
    rows = [
        f"| {result.variant.title} | {' | '.join(_render(each, factor=100, digits=1) for each in result.part_top1)} |"
        for result in results
        if result.runs
    ]
    return ["", "| fused top-1 | base | novel |", "|---|---|---|", *rows]


def _render(spread: Spread | None, *, factor: int, digits: int) -> str:
    if spread is None:
        return _NOTHING
    mean = f"{spread.mean * factor:.{digits}f}"
    return mean if spread.deviation is None else f"{mean} ± {spread.deviation * factor:.{digits}f}"


def _render_paper(accuracy: PaperAccuracy) -> str:
    figures = [
        str(figure) for figure in (accuracy.base, accuracy.novel, accuracy.top1, accuracy.top5) if figure is not None
    ]
    return " / ".join(figures) or _NOTHING


def _failures(results: Sequence[VariantResult]) -> list[str]:
    lines = [
        f"- {result.variant.name}, seed {seed}: {sentence}"
        for result in results
        for seed, sentence in result.failures.items()
    ]
    return ["", "## Failed", "", *lines] if lines else []
