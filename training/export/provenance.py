"""What a bundle's manifest says of the run it comes from, read from the run's folder."""

import json
from typing import Any

from service.contract.manifest import Lambda, Metric, Provenance
from training.evaluation.protocols import UNTUNED_LAMBDA
from training.evaluation.summary import PARTS_KEY
from training.importers.origin import read_origins
from training.runs.bridge import BRIDGE_NAME
from training.runs.configs import dump_config
from training.runs.folder import DRAWN_KEY
from training.runs.run import Run


def describe_provenance(run: Run) -> Provenance:
    """Describe a run: recipe, data, and the figures of every evaluation in its folder.

    Names of drawn videos stay in the run; the recipe's shots and seed draw them again. Where the run began with the
    towers of another run, ``bridge`` names that run's recipe and data.

    """
    recipe = run.recipe
    return Provenance(
        recipe=recipe.name,
        config=dump_config(recipe),
        training_data={**_without_draw(run.data), **_describe_bridge(run)},
        metrics=tuple(metric for report in run.read_reports() for metric in _list_metrics(report)),
        package_versions=run.environment["package_versions"],
        git_commit=run.environment["git_commit"],
        licences={name: origin.licence for name, origin in read_origins(run.backbone_dir).items()},
    )


def choose_fusion(run: Run, *, has_chinese: bool) -> Lambda:
    """Take the weight of English that an evaluation of the run's own model chose, or one half without any.

    A transfer to other data chooses none.
    """
    if not has_chinese:
        return Lambda(value=1.0, chosen="no Chinese branch")
    chosen = [
        report["fusion"] for report in run.read_reports() if report["model"] == "run" and report.get("rule") != "mean"
    ]
    return Lambda(**chosen[0]) if chosen else Lambda(value=UNTUNED_LAMBDA, chosen="not tuned")


def _describe_bridge(run: Run) -> dict[str, Any]:
    path = run.backbone_dir / BRIDGE_NAME
    if not path.is_file():
        return {}
    origin: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return {"bridge": {"recipe": origin["recipe"]["name"], **_without_draw(origin["training_data"])}}


def _without_draw(data: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key != DRAWN_KEY}


def _list_metrics(report: dict[str, Any]) -> list[Metric]:
    rule = f"{report['rule']} of {len(report[PARTS_KEY])} parts, " if "rule" in report else ""
    protocol = (
        f"{report['protocol']}: {rule}split {report['split']}, {report['num_videos']} videos, {report['views']} views"
    )
    return [
        Metric(name=f"{kind} ({own['reading']})", value=own[kind], protocol=protocol)
        for own in report["accuracies"]
        for kind in ("top1", "top5", "pairs")
        if own[kind] is not None
    ]
