"""Reports of an evaluation: figures as JSON and Markdown, and the ranking of every video as JSON lines."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from service.contract.labels import Label
from service.contract.manifest import Lambda
from service.contract.scoring import Scores
from training.evaluation.embed import EmbeddedSplit
from training.evaluation.protocols import Accuracy, LambdaPoint, SplitScores
from training.files.texts import render_json, write_text

# What Markdown shows in another form, or leaves to the JSON.
_NOT_FACTS = ("accuracies", "fusion", "lambda_curve", "protocol")
# What says nothing of classes, which are compared with no text.
_OF_TEXTS = ("template_en", "template_zh", "word_set", "aggregation")


@dataclass(frozen=True, kw_only=True)
class Report:
    """Figures of one protocol, with all that a reader needs to make them again.

    ``num_labels`` are ranked: those of the data, or the classes of a closed vocabulary, which has no ``fusion``.
    ``split_number`` is that of the data set's official splits, where it has several; ``peak_memory_bytes`` is the GPU's
    where there is one, else the process's. ``lambda_curve`` is what lambda was chosen from, on the split that
    ``fusion`` names; empty where it was not chosen.
    """

    protocol: str
    model: str
    data: str
    data_digest: str
    split: str
    split_number: int | None
    num_videos: int
    vocabulary: Literal["open", "closed"]
    num_labels: int
    views: str
    num_frames: int
    template_en: str
    template_zh: str
    word_set: str
    aggregation: str
    fusion: Lambda | None
    recipe: str
    seed: int
    hardware: str
    seconds: float
    peak_memory_bytes: int
    accuracies: tuple[Accuracy, ...]
    lambda_curve: tuple[LambdaPoint, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {**asdict(self), "fusion": None if self.fusion is None else self.fusion.model_dump(mode="json")}


def render_markdown(report: Report) -> str:
    """Render a report for people."""
    left_out = (*_NOT_FACTS, *(_OF_TEXTS if report.vocabulary == "closed" else ()))
    facts = {key: value for key, value in report.to_json().items() if key not in left_out and value is not None}
    lines = [
        f"# {report.protocol}",
        "",
        "| labels read as | lambda | top-1 | top-5 | pairs (chance 50 %) |",
        "|---|---|---|---|---|",
        *(_row(each) for each in report.accuracies),
        "",
        *render_fusion(report.fusion),
        *(f"- {key.replace('_', ' ')}: {value}" for key, value in facts.items()),
    ]
    return "\n".join(lines) + "\n"


def render_fusion(fusion: Lambda | None) -> Iterator[str]:
    """Say how lambda was chosen, in a line of Markdown; nothing is said of a closed vocabulary."""
    if fusion is not None:
        yield f"- lambda: {fusion.value} ({fusion.chosen})"


def render_lambda(fusion_lambda: float | None) -> str:
    """Render a weight of English for a table; classes have none."""
    return "" if fusion_lambda is None else f"{fusion_lambda:g}"


def write_report(directory: Path, report: Report, *, rankings: Iterator[dict[str, Any]]) -> None:
    """Write ``<protocol>.json``, ``<protocol>.md`` and ``<protocol>.rankings.jsonl``; each appears whole."""
    directory.mkdir(parents=True, exist_ok=True)
    texts = {
        f"{report.protocol}.json": render_json(report.to_json()),
        f"{report.protocol}.md": render_markdown(report),
        f"{report.protocol}.rankings.jsonl": "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in rankings),
    }
    for name, text in texts.items():
        write_text(directory / name, text=text)


def rank_videos(
    scores: SplitScores, embedded: EmbeddedSplit, *, labels: Sequence[Label], top_k: int
) -> Iterator[dict[str, Any]]:
    """Give each video's best labels in the form of the service's predictions."""
    rows = zip(embedded.videos, embedded.label_ids.tolist(), scores.per_video, scores.ranking.tolist(), strict=True)
    for video, label_id, own, ranking in rows:
        predictions = [_prediction(own, rank, label, labels) for rank, label in enumerate(ranking[:top_k], start=1)]
        yield {"video": video, "label": asdict(labels[label_id]), "predictions": predictions}


def _prediction(scores: Scores, rank: int, index: int, labels: Sequence[Label]) -> dict[str, Any]:
    english, chinese = scores.similarity_en, scores.similarity_zh
    return {
        "rank": rank,
        "label": asdict(labels[index]),
        "probability": float(scores.probability[index]),
        "score": float(scores.score[index]),
        "similarity_en": None if english is None else float(english[index]),
        "similarity_zh": None if chinese is None else float(chinese[index]),
    }


def _row(accuracy: Accuracy) -> str:
    pairs = "" if accuracy.pairs is None else f"{accuracy.pairs:.1%}"
    cells = (accuracy.reading, render_lambda(accuracy.fusion_lambda), f"{accuracy.top1:.1%}", f"{accuracy.top5:.1%}")
    return f"| {' | '.join((*cells, pairs))} |"
