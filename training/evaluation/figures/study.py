"""What the figures of a run show: its model and its frozen CLIP on one split, embedded and scored once for all."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from service.contract.views import ViewPlan
from training.data.annotations import VideoData
from training.data.splits import select_split
from training.errors import SettingError
from training.evaluation.classes import classify_split
from training.evaluation.embed import EmbeddedSplit, embed_split
from training.evaluation.evaluate import load_protocol_model
from training.evaluation.protocols import Protocol, ScoredSplit
from training.evaluation.texts import score_by_texts
from training.models.label_bank import embed_labels
from training.models.video_clip import VideoCLIP
from training.runs.run import Run


@dataclass(frozen=True, kw_only=True)
class FigureSettings:
    """The split that is shown, the one on which lambda is chosen, and how many videos have maps drawn over them."""

    split: str = "test"
    select_on: str = "val"
    num_videos: int = 4
    num_workers: int = 2


@dataclass(frozen=True, kw_only=True)
class Study:
    """A run on a split, as its model sees it, and as the frozen CLIP it started from embeds it."""

    model: VideoCLIP
    frozen: VideoCLIP
    data: VideoData
    settings: FigureSettings
    scored: ScoredSplit
    frozen_embedded: EmbeddedSplit


def conduct_study(run: Run, *, data: VideoData, settings: FigureSettings) -> Study:
    """Embed and score a split by a run's model, one centred view a video.

    Raises:
        SettingError: lambda would be chosen on the split that is shown, it has fewer labels than videos asked for, or
            labels outside a closed vocabulary.
        RunError: the folder is not a run.
        DataError: the data lacks a split or a label a language, or videos do not decode.
    """
    model = load_protocol_model(run, protocol=Protocol("figures", settings.split))
    _check(settings, data=data, chooses_lambda=model.chinese is not None)
    frozen = load_protocol_model(run, protocol=Protocol("figures", settings.split, "frozen"))
    embed = partial(
        embed_split,
        data=data,
        plan=ViewPlan(),
        cache_dir=run.features,
        num_workers=settings.num_workers,
    )
    return Study(
        model=model,
        frozen=frozen,
        data=data,
        settings=settings,
        scored=_score(partial(embed, model), model, data=data, settings=settings),
        frozen_embedded=embed(frozen, split=settings.split),
    )


def _score(
    embed: Callable[..., EmbeddedSplit], model: VideoCLIP, *, data: VideoData, settings: FigureSettings
) -> ScoredSplit:
    """Score by texts, or over a closed vocabulary's classes; their texts are read too, where all have English ones."""
    if not model.config.is_closed:
        return score_by_texts(embed, model, data=data, split=settings.split, select_on=settings.select_on)
    scored = classify_split(embed, classes=model.classes, data=data, split=settings.split)
    if any(each.en is None for each in scored.labels):
        return scored
    return replace(scored, texts=embed_labels(model, scored.labels, with_chinese=False).english)


def _check(settings: FigureSettings, *, data: VideoData, chooses_lambda: bool) -> None:
    if chooses_lambda and settings.select_on == settings.split:
        raise SettingError(
            f"lambda would be chosen on split {settings.split!r}, which is the one shown; choose another --select-on"
        )
    num_labels = len({each.label_id for each in select_split(data, settings.split)})
    if not 1 <= settings.num_videos <= num_labels:
        raise SettingError(
            f"videos is {settings.num_videos}, each of another label, but split {settings.split!r} has {num_labels} "
            f"labels; give 1 to {num_labels}"
        )
