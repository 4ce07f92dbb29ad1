"""All figures of a run, drawn into one folder."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from training.checkpoint import CONFIG_NAME, read_config
from training.config import Recipe
from training.data.annotations import VideoData
from training.evaluation.figures.attention_maps import collect_arrays, draw_attention, map_attention
from training.evaluation.figures.confusion import count_confusion, describe_confusion, draw_confusion
from training.evaluation.figures.lambda_curve import describe_lambda, draw_lambda
from training.evaluation.figures.study import FigureSettings, Study, conduct_study
from training.evaluation.figures.style import group_labels, save_arrays, save_figure
from training.evaluation.figures.tsne import describe_projection, draw_projections, pool_frames, project
from training.run_folder import CURVES_NAME, draw_curves, read_records, write_text

FIGURES_NAME = "figures"


def draw_figures(run_dir: Path, *, data: VideoData, settings: FigureSettings, out: Path) -> tuple[Path, ...]:
    """Draw every figure of a run with the data behind it; each file appears whole. Returns the pictures.

    A model without a Chinese branch has no lambda to choose, and so no ``lambda.png``.

    Raises:
        SettingError: lambda would be chosen on the split that is shown, or the number of videos is impossible.
        RunError: the folder is not a run.
        DataError: the data lacks a split or a label a language, videos do not decode, or they are too few.
    """
    seed = read_config(run_dir / CONFIG_NAME, kind=Recipe).fit.seed
    study = conduct_study(run_dir, data=data, settings=settings)
    out.mkdir(parents=True, exist_ok=True)
    pictures = [
        _draw_attention(study, out=out),
        _draw_tsne(study, seed=seed, out=out),
        _draw_confusion(study, out=out),
        _draw_curves(run_dir, out=out),
    ]
    if study.sweep is not None:
        _write_json(describe_lambda(study.sweep, fusion=study.fusion), out / "lambda.json")
        save_figure(draw_lambda(study.sweep, fusion=study.fusion), out / "lambda.png")
        pictures.append(out / "lambda.png")
    return tuple(pictures)


def _draw_attention(study: Study, *, out: Path) -> Path:
    maps = map_attention(study)
    save_arrays(collect_arrays(maps), out / "attention.npz")
    save_figure(draw_attention(maps), out / "attention.png")
    return out / "attention.png"


def _draw_tsne(study: Study, *, seed: int, out: Path) -> Path:
    embedded, labels = study.embedded, study.data.labels
    features = {"without adapters (frozen CLIP)": study.frozen_embedded.features, "with adapters": embedded.features}
    projections = {name: project(pool_frames(own), embedded.label_ids, seed=seed) for name, own in features.items()}
    figures = {name: describe_projection(own) for name, own in projections.items()}
    videos = {"videos": embedded.videos, "label_ids": embedded.label_ids.tolist()}
    _write_json({**videos, "projections": figures}, out / "tsne.json")
    picture = draw_projections(projections, embedded.label_ids, labels=labels, groups=group_labels(labels))
    save_figure(picture, out / "tsne.png")
    return out / "tsne.png"


def _draw_confusion(study: Study, *, out: Path) -> Path:
    labels, split = study.data.labels, study.settings.split
    predicted = study.scores.ranking[:, 0]
    confusion = count_confusion(predicted, study.embedded.label_ids, groups=group_labels(labels))
    described = describe_confusion(confusion, labels=labels)
    _write_json({"split": split, "lambda": study.fusion.value, **described}, out / "confusion.json")
    title = (
        f"{study.data.name}, split “{split}”: {described['num_videos']} videos, {len(labels)} labels, "
        f"top-1 {described['top1']:.1%} (λ = {study.fusion.value:g})"
    )
    save_figure(draw_confusion(confusion, labels=labels, title=title), out / "confusion.png")
    return out / "confusion.png"


def _draw_curves(run_dir: Path, *, out: Path) -> Path:
    _write_json([asdict(record) for record in read_records(run_dir)], out / "curves.json")
    draw_curves(run_dir, out=out)
    return out / CURVES_NAME


def _write_json(values: Any, path: Path) -> None:  # noqa: ANN401
    write_text(path, text=json.dumps(values, ensure_ascii=False) + "\n")
