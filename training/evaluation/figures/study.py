"""What the figures of a run show: its model and its frozen CLIP on one split, embedded and scored once for all."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from service.contract.manifest import Lambda
from service.contract.views import ViewPlan
from training.data.annotations import VideoData
from training.data.splits import select_split
from training.errors import SettingError
from training.evaluation.embed import EmbeddedSplit, embed_complete_labels, embed_split
from training.evaluation.evaluate import EVALUATION_NAME, load_protocol_model
from training.evaluation.protocols import Protocol, Reading, SplitScores, best_lambda, score_split, sweep_lambda
from training.models.video_clip import VideoCLIP


@dataclass(frozen=True, kw_only=True)
class FigureSettings:
    """The split that is shown, the one on which lambda is chosen, and how many videos have their attention drawn."""

    split: str = "test"
    select_on: str = "val"
    num_videos: int = 4
    num_workers: int = 2


@dataclass(frozen=True, kw_only=True)
class LambdaSweep:
    """Top-1 on the selection split for every weight of English."""

    top1: dict[float, float]
    split: str
    num_videos: int


@dataclass(frozen=True, kw_only=True)
class Study:
    """A run on a split: videos as the model and as frozen CLIP embed them, and the scores that the service would give.

    ``sweep`` is None for a model without a Chinese branch, whose lambda is 1.
    """

    model: VideoCLIP
    frozen: VideoCLIP
    data: VideoData
    settings: FigureSettings
    embedded: EmbeddedSplit
    frozen_embedded: EmbeddedSplit
    sweep: LambdaSweep | None
    fusion: Lambda
    scores: SplitScores


def conduct_study(run_dir: Path, *, data: VideoData, settings: FigureSettings) -> Study:
    """Embed and score a split by a run's model, one centred view a video.

    Raises:
        SettingError: lambda would be chosen on the split that is shown, or it has fewer labels than videos asked for.
        RunError: the folder is not a run.
        DataError: the data lacks a split or a label a language, or videos do not decode.
    """
    _check(settings, data=data)
    model = load_protocol_model(run_dir, protocol=Protocol("figures", settings.split))
    frozen = load_protocol_model(run_dir, protocol=Protocol("figures", settings.split, "frozen"))
    bank = embed_complete_labels(model, data.labels)
    embed = partial(
        embed_split,
        data=data,
        plan=ViewPlan(),
        cache_dir=run_dir / EVALUATION_NAME / "features",
        num_workers=settings.num_workers,
    )
    embedded = embed(model, split=settings.split)
    sweep, fusion = None, Lambda(value=1.0, chosen="no Chinese branch")
    if bank.chinese is not None:
        selection = embed(model, split=settings.select_on)
        top1 = sweep_lambda(selection, bank, config=model.config)
        sweep = LambdaSweep(top1=top1, split=settings.select_on, num_videos=len(selection.videos))
        fusion = best_lambda(top1, split=settings.select_on)
    return Study(
        model=model,
        frozen=frozen,
        data=data,
        settings=settings,
        embedded=embedded,
        frozen_embedded=embed(frozen, split=settings.split),
        sweep=sweep,
        fusion=fusion,
        scores=score_split(embedded, bank, config=model.config, reading=Reading("fused", fusion.value, True)),
    )


def _check(settings: FigureSettings, *, data: VideoData) -> None:
    if settings.select_on == settings.split:
        raise SettingError(
            f"lambda would be chosen on split {settings.split!r}, which is the one shown; choose another --select-on"
        )
    num_labels = len({each.label_id for each in select_split(data, settings.split)})
    if not 1 <= settings.num_videos <= num_labels:
        raise SettingError(
            f"videos is {settings.num_videos}, each of another label, but split {settings.split!r} has {num_labels} "
            f"labels; give 1 to {num_labels}"
        )
