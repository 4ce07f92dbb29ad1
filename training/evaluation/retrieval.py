"""Video-text retrieval: how high the right video stands for a caption, and the right caption for a video.

Scores come from ``service.contract.scoring``, with captions in place of labels and in no sentence around them.
"""

from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64

from service.contract.labels import Label
from service.contract.manifest import Lambda
from service.contract.scoring import LabelBank, score_labels
from service.contract.views import ViewPlan
from training.config.model import ModelConfig
from training.data.captions import CaptionedVideos
from training.errors import DataError
from training.evaluation.classes import require_open_vocabulary
from training.evaluation.embed import embed_videos
from training.evaluation.evaluate import load_protocol_model
from training.evaluation.metrics import retrieval_ranks
from training.evaluation.protocols import BARE_TEMPLATE, Measured, Protocol
from training.files.texts import render_json, write_text
from training.models.label_bank import embed_labels
from training.models.video_clip import VideoCLIP
from training.runs.run import Run

RETRIEVAL_NAME = "retrieval"


@dataclass(frozen=True)
class RankFigures:
    """Shares of queries whose own item is among the first 1, 5 and 10, and the median of its rank, counted from 1."""

    recall_at_1: float
    recall_at_5: float
    recall_at_10: float
    median_rank: float

    @classmethod
    def of(cls, ranks: Int64[np.ndarray, " Q"]) -> "RankFigures":
        """Summarise ranks."""
        at_1, at_5, at_10 = (float((ranks <= k).mean()) for k in (1, 5, 10))
        return cls(at_1, at_5, at_10, float(np.median(ranks)))


@dataclass(frozen=True, kw_only=True)
class RetrievalReport:
    """Figures of both directions, with what a reader needs to make them again."""

    data: str
    language: str
    model: str
    recipe: str
    seed: int
    num_videos: int
    num_captions: int
    views: str
    num_frames: int
    text_to_video: RankFigures
    video_to_text: RankFigures


def evaluate_retrieval(
    run: Run, *, captioned: CaptionedVideos, model: Measured, plan: ViewPlan, num_workers: int
) -> RetrievalReport:
    """Measure retrieval by a run's model, or by its frozen CLIP, and write the report into the run's folder.

    Raises:
        SettingError: the run's vocabulary is closed.
        RunError: the folder is not a run.
        DataError: the captions are in a language that the model lacks, or a video does not decode.
    """
    video_clip = load_protocol_model(run, protocol=Protocol(RETRIEVAL_NAME, "", model))
    require_open_vocabulary(
        video_clip.config, measured=model, asked=f"retrieval asks for {len(captioned.captions)} captions"
    )
    bank = _embed_captions(video_clip, captioned)
    features = embed_videos(
        video_clip, videos=captioned.videos, plan=plan, cache_dir=run.features, num_workers=num_workers
    )
    score = score_captions(features, bank, config=video_clip.config)
    recipe, video_ids = run.recipe, np.arange(len(captioned.videos))
    report = RetrievalReport(
        data=captioned.name,
        language=captioned.language,
        model=model,
        recipe=recipe.name,
        seed=recipe.fit.seed,
        num_videos=len(captioned.videos),
        num_captions=len(captioned.captions),
        views=str(plan),
        num_frames=video_clip.config.num_frames,
        text_to_video=RankFigures.of(retrieval_ranks(score.T, query_ids=captioned.video_ids, item_ids=video_ids)),
        video_to_text=RankFigures.of(retrieval_ranks(score, query_ids=video_ids, item_ids=captioned.video_ids)),
    )
    _write(report_path(run, data=captioned.name, model=model), report)
    return report


def score_captions(
    features: Float32[np.ndarray, "N V K D"], bank: LabelBank, *, config: ModelConfig
) -> Float32[np.ndarray, "N C"]:
    """Score every caption for every video, in the one language that the bank has."""
    weight = 0.0 if bank.english is None else 1.0
    scoring = config.scoring.fused_by(Lambda(value=weight, chosen="the captions' language"))
    # One video at a time: weights of frames for every caption are too many to keep.
    rows = [
        score_labels(own, bank, scoring=scoring, fusion_lambda=weight, weigh_words=bank.words is not None).score
        for own in features
    ]
    return np.stack(rows)


def report_path(run: Run, *, data: str, model: Measured) -> Path:
    """Where a report lies, without its suffix; the figures of other data and models stay beside it."""
    return run.evaluation / RETRIEVAL_NAME / (data if model == "run" else f"{model}_{data}")


def render_retrieval(report: RetrievalReport) -> str:
    """Render a report for people."""
    facts = {key: value for key, value in asdict(report).items() if not isinstance(value, dict)}
    lines = [
        f"# retrieval: {report.data}",
        "",
        "| direction | R@1 | R@5 | R@10 | median rank |",
        "|---|---|---|---|---|",
        _row("text to video", report.text_to_video),
        _row("video to text", report.video_to_text),
        "",
        *(f"- {key.replace('_', ' ')}: {value}" for key, value in facts.items()),
        "- ranks: ties count against the query; a video with several captions counts by the best of them",
    ]
    return "\n".join(lines) + "\n"


def _embed_captions(model: VideoCLIP, captioned: CaptionedVideos) -> LabelBank:
    if captioned.language == "zh":
        if model.chinese is None:
            raise DataError(
                f"captions of {captioned.name} are Chinese, and this model reads English alone; translate them"
            )
        model.config = replace(model.config, template_zh=BARE_TEMPLATE)
        return embed_labels(model, [Label(zh=text) for text in captioned.captions], with_chinese=True)
    model.config = replace(model.config, template_en=BARE_TEMPLATE)
    return embed_labels(model, [Label(en=text) for text in captioned.captions], with_chinese=False)


def _row(direction: str, figures: RankFigures) -> str:
    shares = (figures.recall_at_1, figures.recall_at_5, figures.recall_at_10)
    return f"| {direction} | {' | '.join(f'{share:.1%}' for share in shares)} | {figures.median_rank:g} |"


def _write(path: Path, report: RetrievalReport) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path.with_name(f"{path.name}.json"), text=render_json(asdict(report)))
    write_text(path.with_name(f"{path.name}.md"), text=render_retrieval(report))
