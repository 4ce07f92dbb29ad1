"""All figures of a run, drawn into one folder."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from training.config.adapters import SideNetworkConfig
from training.data.annotations import VideoData
from training.evaluation.figures.activation_maps import collect_activations, draw_activations, map_activations
from training.evaluation.figures.attention_maps import collect_arrays, draw_attention, map_attention
from training.evaluation.figures.confusion import count_confusion, describe_confusion, draw_confusion
from training.evaluation.figures.lambda_curve import describe_lambda, draw_lambda
from training.evaluation.figures.study import FigureSettings, Study, conduct_study
from training.evaluation.figures.style import group_labels, save_arrays, save_figure
from training.evaluation.figures.tsne import describe_projection, draw_projections, pool_frames, project
from training.files.texts import write_text
from training.models.tds.encoder import SideVideoEncoder
from training.runs.curves import CURVES_NAME, draw_curves, read_records
from training.runs.run import Run

FIGURES_NAME = "figures"


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """The pictures of a run, and a line for each that does not apply to it, saying why."""

    pictures: tuple[Path, ...]
    left_out: tuple[str, ...]


def draw_figures(run: Run, *, data: VideoData, settings: FigureSettings, out: Path) -> Drawn:
    """Draw every figure that applies to a run, with the data behind it; each file appears whole.

    Raises:
        SettingError: lambda would be chosen on the split that is shown, the number of videos is impossible, or labels
            lie outside a closed vocabulary.
        RunError: the folder is not a run.
        DataError: the data lacks a split or a label a language, videos do not decode, or they are too few.
    """
    seed = run.recipe.fit.seed
    study = conduct_study(run, data=data, settings=settings)
    out.mkdir(parents=True, exist_ok=True)
    pictures = (
        _draw_maps(study, out=out),
        _draw_tsne(study, seed=seed, out=out),
        _draw_confusion(study, out=out),
        _draw_curves(run.directory, out=out),
        _draw_lambda(study, out=out),
    )
    return Drawn(
        pictures=tuple(each for each in pictures if each is not None), left_out=tuple(_say_what_is_left_out(study))
    )


def _say_what_is_left_out(study: Study) -> Iterator[str]:
    scored = study.scored
    if isinstance(study.model.video, SideVideoEncoder):
        yield "attention.png: of a side network, activation.png is drawn in its place"
        if scored.texts is None:
            yield "the line of CLIP in activation.png: it reads English, and a class has no English text"
    elif len(scored.scores.per_video[0].frame_weights[0, 0]) != study.model.config.num_frames:
        yield "the weights of frames in attention.png: the model pools frames inside its tower"
    if scored.fusion is None:
        yield "lambda.png: a closed vocabulary is scored by logits, in no language"
    elif scored.sweep is None:
        yield "lambda.png: the model has no Chinese branch, so that lambda is 1"


def _draw_maps(study: Study, *, out: Path) -> Path:
    """Draw what a side network responds to, or where the tower of another model looks."""
    encoder = study.model.video
    if isinstance(encoder, SideVideoEncoder):
        activations = map_activations(study, encoder=encoder)
        save_arrays(collect_activations(activations), out / "activation.npz")
        save_figure(draw_activations(activations), out / "activation.png")
        return out / "activation.png"
    attention = map_attention(study)
    save_arrays(collect_arrays(attention), out / "attention.npz")
    save_figure(draw_attention(attention), out / "attention.png")
    return out / "attention.png"


def _draw_tsne(study: Study, *, seed: int, out: Path) -> Path:
    embedded, labels = study.scored.embedded, study.scored.labels
    adapted = "with adapters"
    if isinstance(study.model.config.adapters, SideNetworkConfig):
        adapted = "with the side network, logits" if study.scored.fusion is None else "with the side network"
    features = {"without adapters (frozen CLIP)": study.frozen_embedded.features, adapted: embedded.features}
    projections = {name: project(pool_frames(own), embedded.label_ids, seed=seed) for name, own in features.items()}
    figures = {name: describe_projection(own) for name, own in projections.items()}
    videos = {"videos": embedded.videos, "label_ids": embedded.label_ids.tolist()}
    _write_json({**videos, "projections": figures}, out / "tsne.json")
    picture = draw_projections(projections, embedded.label_ids, labels=labels, groups=group_labels(labels))
    save_figure(picture, out / "tsne.png")
    return out / "tsne.png"


def _draw_confusion(study: Study, *, out: Path) -> Path:
    scored, split = study.scored, study.settings.split
    labels, fusion = scored.labels, scored.fusion
    predicted = scored.scores.ranking[:, 0]
    confusion = count_confusion(predicted, scored.embedded.label_ids, groups=group_labels(labels))
    described = describe_confusion(confusion, labels=labels)
    _write_json(
        {"split": split, "lambda": None if fusion is None else fusion.value, **described}, out / "confusion.json"
    )
    how = "closed" if fusion is None else f"λ = {fusion.value:g}"
    title = (
        f"{study.data.name}, split “{split}”: {described['num_videos']} videos, {len(labels)} labels, "
        f"top-1 {described['top1']:.1%} ({how})"
    )
    save_figure(draw_confusion(confusion, labels=labels, title=title), out / "confusion.png")
    return out / "confusion.png"


def _draw_lambda(study: Study, *, out: Path) -> Path | None:
    sweep, fusion = study.scored.sweep, study.scored.fusion
    if sweep is None or fusion is None:
        return None
    _write_json(describe_lambda(sweep, fusion=fusion), out / "lambda.json")
    save_figure(draw_lambda(sweep, fusion=fusion), out / "lambda.png")
    return out / "lambda.png"


def _draw_curves(run_dir: Path, *, out: Path) -> Path:
    _write_json([asdict(record) for record in read_records(run_dir)], out / "curves.json")
    draw_curves(run_dir, out=out)
    return out / CURVES_NAME


def _write_json(values: Any, path: Path) -> None:  # noqa: ANN401
    write_text(path, text=json.dumps(values, ensure_ascii=False) + "\n")
