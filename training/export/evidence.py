"""How well a Chinese text tower that was not trained here agrees with a CLIP, and whether that is evidence enough.

Towers of different makers embed into spaces of equal dimension that have nothing else in common, as Chinese-CLIP's and
OpenAI's: fused, they would add noise. Parallel labels tell: a text must find its translation among those of all other
labels, in both directions. Videos, where there are any, tell what matters itself.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float32
from pydantic import TypeAdapter, ValidationError

from service.contract.labels import Label
from service.contract.views import ViewPlan
from training.data.annotations import VideoData
from training.errors import DataError, SettingError
from training.evaluation.embed import embed_complete_labels, embed_split
from training.evaluation.metrics import retrieval_ranks, top_k_accuracy
from training.evaluation.protocols import UNTUNED_LAMBDA, Reading, score_split
from training.export.description import tower_digest
from training.files.texts import render_json, write_text
from training.models.label_bank import embed_labels
from training.models.video_clip import VideoCLIP

# Half of all labels must find their translation first, in both directions, among enough labels for that to mean
# something: of 20, chance finds one.
MIN_TOP1, MIN_LABELS = 0.5, 20
# On videos Chinese alone must be worth at least half of what English alone is, and twice what chance is.
MIN_SHARE_OF_ENGLISH, MIN_TIMES_CHANCE = 0.5, 2.0
RULE = (
    f"on at least {MIN_LABELS} labels in both languages, top-1 of at least {MIN_TOP1:.0%} from Chinese to English and "
    f"back; and, where videos were measured, top-1 of Chinese alone of at least {MIN_SHARE_OF_ENGLISH:.0%} of that of "
    f"English alone and {MIN_TIMES_CHANCE:g} times chance"
)
_TOP_K = (1, 5)


@dataclass(frozen=True, kw_only=True)
class TextAgreement:
    """Retrieval of translations among ``num_labels`` labels, and mean cosines of pairs and of all other couples."""

    num_labels: int
    zh_to_en_top1: float
    zh_to_en_top5: float
    en_to_zh_top1: float
    en_to_zh_top5: float
    cosine_pairs: float
    cosine_others: float


@dataclass(frozen=True, kw_only=True)
class VideoAgreement:
    """Top-1 of each language alone, and of both with equal weight, on a split's videos."""

    data: str
    data_digest: str
    split: str
    num_videos: int
    num_labels: int
    views: str
    num_frames: int
    english_top1: float
    chinese_top1: float
    fused_top1: float


@dataclass(frozen=True, kw_only=True)
class AlignmentReport:
    """What was measured, on which towers and texts; ``verdict`` says in words whether the rule is met."""

    towers: dict[str, str]
    labels: str
    template_en: str
    template_zh: str
    texts: TextAgreement
    videos: VideoAgreement | None
    rule: str
    verdict: str

    @property
    def shortcomings(self) -> tuple[str, ...]:
        """Everything in which the figures miss the rule; none means that the branch may be switched on."""
        return tuple(_list_shortcomings(self.texts, self.videos))


def measure_alignment(
    model: VideoCLIP, labels: Sequence[Label], *, name: str, videos: VideoAgreement | None = None
) -> AlignmentReport:
    """Measure how well a model's text towers agree on the labels that have both languages.

    Raises:
        DataError: fewer than two labels do.
        SettingError: the model has no Chinese tower.
    """
    parallel = [label for label in labels if label.en is not None and label.zh is not None]
    if len(parallel) < 2:
        raise DataError(f"{name} has {len(parallel)} labels in both languages; at least 2 can be told apart")
    towers = digest_towers(model)
    bank = embed_labels(model, parallel, with_chinese=True)
    assert bank.english is not None  # only None where no label has the language
    assert bank.chinese is not None
    report = AlignmentReport(
        towers=towers,
        labels=name,
        template_en=model.config.template_en,
        template_zh=model.config.template_zh,
        texts=compare_texts(bank.english, bank.chinese),
        videos=videos,
        rule=RULE,
        verdict="",
    )
    return replace(report, verdict="; ".join(report.shortcomings) or "the Chinese branch may be switched on")


def compare_texts(english: Float32[np.ndarray, "L D"], chinese: Float32[np.ndarray, "L D"]) -> TextAgreement:
    """Compare unit-length embeddings of texts with those of their translations; ties count against retrieval."""
    cosines = chinese @ english.T
    ids = np.arange(len(english))
    forward, back = (retrieval_ranks(each, query_ids=ids, item_ids=ids) for each in (cosines, cosines.T))
    zh_to_en, en_to_zh = ([float((ranks <= k).mean()) for k in _TOP_K] for ranks in (forward, back))
    pairs = float(np.diag(cosines).mean())
    others = float((cosines.sum() - np.trace(cosines)) / max(1, cosines.size - len(ids)))
    return TextAgreement(
        num_labels=len(ids),
        zh_to_en_top1=zh_to_en[0],
        zh_to_en_top5=zh_to_en[1],
        en_to_zh_top1=en_to_zh[0],
        en_to_zh_top5=en_to_zh[1],
        cosine_pairs=pairs,
        cosine_others=others,
    )


def compare_on_videos(
    model: VideoCLIP, *, data: VideoData, split: str, cache_dir: Path, num_workers: int
) -> VideoAgreement:
    """Measure each language alone, and both, on a split's videos.

    Raises:
        DataError: the split has no video, a video does not decode, or a label lacks a language.
    """
    plan = ViewPlan()
    bank = embed_complete_labels(model, data.labels)
    embedded = embed_split(model, data=data, split=split, plan=plan, cache_dir=cache_dir, num_workers=num_workers)
    weights = {"english": 1.0, "chinese": 0.0, "fused": UNTUNED_LAMBDA}
    top1 = {
        name: top_k_accuracy(
            score_split(embedded, bank, config=model.config, reading=Reading(name, weight, False)).ranking,
            embedded.label_ids,
            k=1,
        )
        for name, weight in weights.items()
    }
    return VideoAgreement(
        data=data.name,
        data_digest=data.digest,
        split=split,
        num_videos=len(embedded.videos),
        num_labels=len(data.labels),
        views=str(plan),
        num_frames=model.config.num_frames,
        english_top1=top1["english"],
        chinese_top1=top1["chinese"],
        fused_top1=top1["fused"],
    )


def digest_towers(model: VideoCLIP) -> dict[str, str]:
    """SHA-256 of a model's image tower and of its text towers with their tokenizers.

    Raises:
        SettingError: the model has no Chinese tower.
    """
    if model.chinese is None or model.tokenizers is None or model.tokenizers.chinese is None:
        raise SettingError("the backbone has no Chinese text tower; make one with --chinese")
    tokenizers = model.tokenizers
    return {
        "image": tower_digest(model.video.visual, tokenizer=""),
        "english": tower_digest(model.english, tokenizer=tokenizers.english.to_json()),
        "chinese": tower_digest(model.chinese, tokenizer=model.tokenizers.chinese.to_json()),
    }


def write_alignment(path: Path, report: AlignmentReport) -> None:
    """Write a report as JSON; the file appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, text=render_json(asdict(report)))


def read_alignment(path: Path) -> AlignmentReport:
    """Read a report.

    Raises:
        SettingError: the file is missing, or no such report.
    """
    try:
        return TypeAdapter(AlignmentReport).validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise SettingError(f"{path} is not a report of `duoact-train align`: {error}") from error


def require_evidence(report: AlignmentReport, model: VideoCLIP) -> str:
    """Check that a report is of these towers and meets the rule, and return what it says in a sentence.

    The figures are judged anew, whatever verdict the file holds.

    Raises:
        SettingError: it is of other towers, or misses the rule; the message names towers or figures.
    """
    own = digest_towers(model)
    if others := _list_differences(report.towers, own):
        raise SettingError(
            f"the report is of another {' and '.join(others)} tower than the bundle's; measure these towers with "
            "`duoact-train align`"
        )
    if report.shortcomings:
        raise SettingError(
            f"the Chinese branch stays off: {'; '.join(report.shortcomings)}. Wanted is, {RULE}. Leave out "
            "--chinese-evidence, or train the Chinese tower with this image tower"
        )
    texts = report.texts
    return (
        f"switched on by alignment on {texts.num_labels} labels of {report.labels}: top-1 {texts.zh_to_en_top1:.1%} "
        f"from Chinese to English, {texts.en_to_zh_top1:.1%} back"
    )


def _list_differences(found: Mapping[str, str], own: Mapping[str, str]) -> list[str]:
    return [name for name, digest in own.items() if found.get(name) != digest]


def _list_shortcomings(texts: TextAgreement, videos: VideoAgreement | None) -> Iterator[str]:
    if texts.num_labels < MIN_LABELS:
        yield f"only {texts.num_labels} labels were compared, not {MIN_LABELS}"
    for name, top1 in (("Chinese to English", texts.zh_to_en_top1), ("English to Chinese", texts.en_to_zh_top1)):
        if not top1 >= MIN_TOP1:
            yield f"top-1 from {name} is {top1:.1%}, not {MIN_TOP1:.0%}"
    if videos is None:
        return
    needed = max(MIN_SHARE_OF_ENGLISH * videos.english_top1, MIN_TIMES_CHANCE / videos.num_labels)
    if not videos.chinese_top1 >= needed:
        yield f"top-1 of Chinese alone on {videos.data} is {videos.chinese_top1:.1%}, not {needed:.1%}"
