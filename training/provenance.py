"""What a bundle's manifest says of the run it comes from, read from the run's folder."""

import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from service.contract.manifest import Lambda, Metric, Provenance
from training.checkpoint import CONFIG_NAME, read_config
from training.config import Recipe
from training.evaluation.evaluate import EVALUATION_NAME
from training.evaluation.protocols import UNTUNED_LAMBDA
from training.run_folder import DATA_NAME, DRAWN_KEY, ENVIRONMENT_NAME


def describe_provenance(run_dir: Path) -> Provenance:
    """Describe a run: recipe, data, and the figures of every evaluation in its folder.

    Names of drawn videos stay in the run; the recipe's shots and seed draw them again.

    Raises:
        RunError: the folder is not a run.
    """
    recipe = read_config(run_dir / CONFIG_NAME, kind=Recipe)
    environment, data = _read(run_dir / ENVIRONMENT_NAME), _read(run_dir / DATA_NAME)
    return Provenance(
        recipe=recipe.name,
        config=TypeAdapter(Recipe).dump_python(recipe, mode="json"),
        training_data={key: value for key, value in data.items() if key != DRAWN_KEY},
        metrics=tuple(metric for report in _read_reports(run_dir) for metric in _list_metrics(report)),
        package_versions=environment["package_versions"],
        git_commit=environment["git_commit"],
    )


def choose_fusion(run_dir: Path, *, has_chinese: bool) -> Lambda:
    """Take the weight of English that an evaluation of the run's own model chose, or one half without any."""
    if not has_chinese:
        return Lambda(value=1.0, chosen="no Chinese branch")
    chosen = [report["fusion"] for report in _read_reports(run_dir) if report["model"] == "run"]
    return Lambda(**chosen[0]) if chosen else Lambda(value=UNTUNED_LAMBDA, chosen="not tuned")


def _read_reports(run_dir: Path) -> list[dict[str, Any]]:
    return [_read(path) for path in sorted((run_dir / EVALUATION_NAME).glob("*.json"))]


def _list_metrics(report: dict[str, Any]) -> list[Metric]:
    protocol = f"{report['protocol']}: split {report['split']}, {report['num_videos']} videos, {report['views']} views"
    return [
        Metric(name=f"{kind} ({own['reading']})", value=own[kind], protocol=protocol)
        for own in report["accuracies"]
        for kind in ("top1", "top5", "pairs")
        if own[kind] is not None
    ]


def _read(path: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return values
