"""Evaluating one run on one split: load, embed, choose lambda, score, measure, write.

Protocols of several parts are put together in ``composite``.
"""

import time
from dataclasses import dataclass, field, replace
from functools import partial

import torch

from service.contract.manifest import Lambda
from service.contract.views import ViewPlan
from training.data.annotations import VideoData
from training.errors import SettingError
from training.evaluation.classes import classify_split, refuse_lambda
from training.evaluation.embed import embed_split
from training.evaluation.protocols import BARE_TEMPLATE, Protocol, ScoredSplit
from training.evaluation.report import Report, rank_videos, write_report
from training.evaluation.texts import score_by_texts
from training.models.video_clip import VideoCLIP
from training.processes.ranks import join_launch, team_of
from training.runs.environment import describe_environment, read_peak_memory
from training.runs.run import Run

NUM_RANKED = 10


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a protocol is run: views a video, and the weight of English or the split to choose it on.

    ``chosen`` says where a weight that is given comes from.
    """

    plan: ViewPlan = field(default_factory=ViewPlan)
    fusion_lambda: float | None = None
    chosen: str = "given"
    select_on: str = "val"
    num_workers: int = 2


def evaluate(run: Run, *, data: VideoData, protocol: Protocol, settings: Settings) -> Report:
    """Evaluate a run and write the report and the rankings into its folder.

    The processes of a launch share the videos. Each scores all of them; the main one writes, with its own memory.

    Raises:
        SettingError: lambda would be chosen on the split that is reported or on one without videos, or lies outside
            [0, 1]; the vocabulary is closed, and lambda is given or a label of the split is no class; or the launcher
            is of no use, see ``ranks.join_launch``.
        RunError: the run's weights are not those of its config.
        DataError: the data lacks a split, or a video does not decode.
    """
    started = time.perf_counter()
    team = team_of(join_launch())
    model = load_protocol_model(run, protocol=protocol)
    embed = partial(
        embed_split,
        model,
        data=data,
        plan=settings.plan,
        cache_dir=run.features,
        num_workers=settings.num_workers,
        team=team,
    )
    if model.config.is_closed:
        refuse_lambda(settings.fusion_lambda)
        scored = classify_split(embed, classes=model.classes, data=data, split=protocol.split)
    else:
        check_settings(settings, protocol)
        given = _take_lambda(settings, data=data, has_chinese=model.chinese is not None)
        scored = score_by_texts(
            embed, model, data=data, split=protocol.split, select_on=settings.select_on, given=given
        )
    report = _describe(run, data=data, protocol=protocol, settings=settings, model=model, scored=scored)
    report = replace(report, seconds=round(time.perf_counter() - started, 1), peak_memory_bytes=read_peak_memory())
    if team.is_main:
        rankings = rank_videos(scored.scores, scored.embedded, labels=scored.labels, top_k=NUM_RANKED)
        write_report(run.evaluation / protocol.folder, report, rankings=rankings)
    return report


def check_settings(settings: Settings, protocol: Protocol) -> None:
    """Check the weight of English of an open vocabulary.

    Raises:
        SettingError: it would be chosen on a split that is reported, or lies outside [0, 1].
    """
    if settings.fusion_lambda is None and settings.select_on in (protocol.split, protocol.novel_split):
        raise SettingError(
            f"lambda would be chosen on split {settings.select_on!r}, which is the one reported; choose another, or "
            "give --lambda"
        )
    if settings.fusion_lambda is not None and not 0 <= settings.fusion_lambda <= 1:
        raise SettingError(f"lambda is {settings.fusion_lambda}; it must be between 0 (Chinese) and 1 (English)")


def load_protocol_model(run: Run, *, protocol: Protocol) -> VideoCLIP:
    """Load the model that a protocol measures: the run's, or the CLIP that the run started from.

    Raises:
        RunError: the weights are not those of the run's config.
    """
    if protocol.model == "run":
        model = run.load_model()
    else:
        config = run.recipe.model.without_adapters()
        if protocol.model == "vanilla":
            config = replace(config, template_en=BARE_TEMPLATE)
        model = run.read_backbone().build(config).eval()
    return model.to("cuda" if torch.cuda.is_available() else "cpu")


def _take_lambda(settings: Settings, *, data: VideoData, has_chinese: bool) -> Lambda | None:
    """Take the weight of English that is given; None where it has yet to be chosen."""
    if settings.fusion_lambda is not None:
        return Lambda(value=settings.fusion_lambda, chosen=settings.chosen)
    if has_chinese and settings.select_on not in (known := sorted({each.split for each in data.annotations})):
        raise SettingError(
            f"lambda would be chosen on split {settings.select_on!r}, of which {data.directory} has no video; it has "
            f"{', '.join(known)}: name one with --select-on, or give --lambda"
        )
    return None


def _describe(
    run: Run, *, data: VideoData, protocol: Protocol, settings: Settings, model: VideoCLIP, scored: ScoredSplit
) -> Report:
    """State figures and circumstances of an evaluation; its time and memory are not known yet."""
    recipe, config = run.recipe, model.config
    return Report(
        protocol=protocol.name,
        model=protocol.model,
        data=data.name,
        data_digest=data.digest,
        split=protocol.split,
        split_number=data.split_number,
        num_videos=len(scored.embedded.videos),
        vocabulary="closed" if config.is_closed else "open",
        num_labels=len(scored.labels),
        views=str(settings.plan),
        num_frames=config.num_frames,
        template_en=config.template_en,
        template_zh=config.template_zh,
        word_set=config.scoring.word_set,
        aggregation=config.scoring.aggregation,
        fusion=scored.fusion,
        recipe=recipe.name,
        seed=recipe.fit.seed,
        hardware=describe_environment()["device"],
        seconds=0.0,
        peak_memory_bytes=0,
        accuracies=scored.accuracies,
        lambda_curve=() if scored.sweep is None else scored.sweep.curve,
    )
