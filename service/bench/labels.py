"""Label texts: what they cost when the text towers must read them, when the disk has them, and when memory has."""

import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

from service.app import Parts
from service.bench.plan import Advance, BenchError
from service.bench.target import DEFAULT_LABEL_SET
from service.contract.label_banks import BankKey
from service.contract.labels import Label, Language
from service.contract.languages import LanguagePlan
from service.encoders.base import TextEncoder
from service.labels.banks import LabelBanks
from service.labels.sets import LabelSets
from service.labels.store import LabelStore


@dataclass(frozen=True)
class LabelCost:
    """All label texts of one language together; medians, but for the first.

    ``first_ms`` is the first time of all, when the engine meets texts of these lengths; ``cold_ms`` reads them with
    the text tower, ``disk_ms`` finds them in the store on disk, ``warm_ms`` finds the whole bank in memory.
    """

    language: Language
    num_labels: int
    first_ms: float
    cold_ms: float
    disk_ms: float
    warm_ms: float


def draw_labels(label_sets: LabelSets, *, num_labels: int) -> tuple[Label, ...]:
    """Take labels with texts in both languages from the stored label sets, each text once.

    Raises:
        BenchError: there are not so many.
    """
    ordered = sorted(label_sets.all(), key=lambda each: (each.name != DEFAULT_LABEL_SET, each.name))
    bilingual = [label for each in ordered for label in each.labels if label.en is not None and label.zh is not None]
    by_english = {label.en: label for label in bilingual}
    distinct = tuple({label.zh: label for label in by_english.values()}.values())
    if len(distinct) < num_labels:
        raise BenchError(f"--num-labels is {num_labels}; the stored label sets have {len(distinct)}: give fewer")
    return distinct[:num_labels]


async def measure_labels(
    parts: Parts, *, labels: Sequence[Label], num_rounds: int, advance: Advance
) -> tuple[LabelCost, ...]:
    """Embed labels in each language of the bundle, so many times after the first.

    Raises:
        EncoderUnavailableError: a text tower does not answer, or answers wrongly.
    """
    towers: dict[Language, TextEncoder] = {"en": parts.encoders.english}
    if parts.encoders.chinese is not None:
        towers["zh"] = parts.encoders.chinese
    costs = []
    for language, tower in towers.items():
        rounds = []
        for _ in range(1 + num_rounds):
            rounds.append(await _run_round(parts, labels=labels, language=language, tower=tower))
            advance()
        costs.append(_summarise(rounds, language=language, num_labels=len(labels)))
    return tuple(costs)


@dataclass(frozen=True)
class _Round:
    """Seconds of one embedding of all labels, from nothing to everything known."""

    cold: float
    disk: float
    warm: float


async def _run_round(parts: Parts, *, labels: Sequence[Label], language: Language, tower: TextEncoder) -> _Round:
    weigh_words = language == "en" and parts.answering.bundle.manifest.scoring.aggregation == "word_weighted"
    plan = LanguagePlan(fusion_lambda=1.0 if language == "en" else 0.0, weigh_words=weigh_words)
    with tempfile.TemporaryDirectory(prefix="duoact-bench-") as directory:
        open_banks = partial(_open_banks, parts, towers={language: tower}, path=Path(directory) / "labels.sqlite")
        async with open_banks() as banks:
            cold = await _time_fetch(banks, labels, plan=plan)
        async with open_banks() as banks:
            disk = await _time_fetch(banks, labels, plan=plan)
            warm = await _time_fetch(banks, labels, plan=plan)
    return _Round(cold, disk, warm)


@asynccontextmanager
async def _open_banks(parts: Parts, *, towers: dict[Language, TextEncoder], path: Path) -> AsyncIterator[LabelBanks]:
    """Open banks with an empty memory; what they embed is on disk when they are closed."""
    settings = parts.settings
    banks = LabelBanks(
        towers,
        key=BankKey.of(parts.answering.bundle.manifest),
        stored=(),
        store=LabelStore(path, max_bytes=settings.label_store_bytes),
        max_bytes=settings.label_cache_bytes,
    )
    await banks.open()
    try:
        yield banks
    finally:
        await banks.close()


async def _time_fetch(banks: LabelBanks, labels: Sequence[Label], *, plan: LanguagePlan) -> float:
    began = time.perf_counter()
    await banks.fetch(labels, plan=plan, template=None)
    return time.perf_counter() - began


def _summarise(rounds: Sequence[_Round], *, language: Language, num_labels: int) -> LabelCost:
    first, *others = rounds
    return LabelCost(
        language=language,
        num_labels=num_labels,
        first_ms=round(1000 * first.cold, 3),
        cold_ms=round(1000 * median(each.cold for each in others), 3),
        disk_ms=round(1000 * median(each.disk for each in others), 3),
        warm_ms=round(1000 * median(each.warm for each in others), 4),
    )
