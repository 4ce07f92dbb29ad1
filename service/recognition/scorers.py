"""How labels are scored: by what texts mean where the vocabulary is open, by logits where it is closed."""

from collections.abc import Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Int64

from service.contract.classes import ClosedVocabulary, score_classes
from service.contract.errors import ImpossibleRequestError
from service.contract.labels import Label, LabelDictionary
from service.contract.languages import LanguagePlan, plan_languages
from service.contract.manifest import Manifest
from service.contract.scoring import (
    LabelBank,
    Scores,
    join_weights,
    labels_per_chunk,
    score_weighted,
    weigh_equally,
    weigh_frames,
    weighs_words,
)
from service.contract.wording import shorten
from service.labels.banks import FetchedBank, LabelBanks, warn_of_parts
from service.recognition.deadline import Deadline, Stopwatch
from service.recognition.questions import Question
from service.recognition.scoring_pool import ScoringPool

# Labels whose words are in memory at once: as few as keep the text towers' batches full.
_PART_LABELS = 1024


@dataclass(frozen=True)
class Selection:
    """The labels that a question asks to be scored, and how: in which languages, or as which classes."""

    labels: tuple[Label, ...]
    languages: LanguagePlan | None = None
    class_indices: Int64[np.ndarray, " L"] | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scored:
    """Scores of a selection, and where the texts came from, which a closed vocabulary does without."""

    scores: Scores
    num_hits: int = 0
    num_misses: int = 0
    warnings: tuple[str, ...] = ()


@runtime_checkable
class Scorer(Protocol):
    """One way to score labels, in two steps: what may refuse before a video is decoded, and what needs the video."""

    @property
    def classes(self) -> tuple[Label, ...] | None:
        """The labels that are asked for where a question names none; None where it must."""
        ...

    def select(self, question: Question) -> Selection:
        """Settle what is asked; for ten thousand labels that takes a while.

        Raises:
            LabelError, ImpossibleRequestError: the bundle cannot score this.
        """
        ...

    async def score(
        self,
        features: Float32[np.ndarray, "V K D"],
        *,
        selection: Selection,
        question: Question,
        deadline: Deadline,
        stopwatch: Stopwatch,
    ) -> Scored:
        """Score the labels of a selection by the features of a video; counts the stages ``labels`` and ``score``.

        Raises:
            DeadlineExceededError: there was not enough time for the texts, or for the arithmetic.
            EncoderUnavailableError: a text tower does not answer.
        """
        ...


class OpenScorer:
    """Any labels, by the cosines of their texts with frame features, fused over the languages."""

    classes: tuple[Label, ...] | None = None

    def __init__(
        self, manifest: Manifest, *, label_banks: LabelBanks, dictionary: LabelDictionary, pool: ScoringPool
    ) -> None:
        self._manifest = manifest
        self._label_banks = label_banks
        self._dictionary = dictionary
        self._pool = pool

    def select(self, question: Question) -> Selection:
        """Complete labels by the dictionary and choose the languages that they are scored in."""
        labels = tuple(self._dictionary.complete(label) for label in question.labels)
        scoring = self._manifest.scoring
        languages = plan_languages(
            labels,
            requested_lambda=question.fusion_lambda,
            default_lambda=scoring.fusion.value,
            has_chinese=self._manifest.has_chinese,
            strict=question.strict,
            weigh_words=scoring.aggregation == "word_weighted",
        )
        return Selection(labels, languages=languages, warnings=languages.warnings)

    async def score(
        self,
        features: Float32[np.ndarray, "V K D"],
        *,
        selection: Selection,
        question: Question,
        deadline: Deadline,
        stopwatch: Stopwatch,
    ) -> Scored:
        """Fetch the texts of some labels, let their words weigh the frames, and forget the words; then compare all."""
        assert selection.languages is not None
        fetching = self._label_banks.fetch_parts(
            selection.labels,
            _cut(len(selection.labels), num_views=len(features)),
            plan=selection.languages,
            template=question.template,
            limit=deadline.time_limit,
        )
        banks, weights = [], []
        async with aclosing(fetching):
            while True:
                with stopwatch.stage("labels"):
                    async with deadline.guard("the embedding of labels"):
                        fetched = await anext(fetching, None)
                if fetched is None:
                    break
                with stopwatch.stage("score"):
                    async with deadline.guard("the scoring of labels"):
                        weights.append(await self._weigh(features, fetched.bank, plan=selection.languages))
                # The words of two parts are never in memory at once.
                banks.append(replace(fetched, bank=replace(fetched.bank, words=None)))
                fetched = None
        with stopwatch.stage("score"):
            async with deadline.guard("the scoring of labels"):
                scores = await self._compare(features, banks, weights, plan=selection.languages)
        num_hits, num_misses = sum(bank.num_hits for bank in banks), sum(bank.num_misses for bank in banks)
        return Scored(scores, num_hits, num_misses, warn_of_parts(banks))

    async def _weigh(
        self, features: Float32[np.ndarray, "V K D"], bank: LabelBank, *, plan: LanguagePlan
    ) -> Float32[np.ndarray, "V L K"]:
        if not weighs_words(self._manifest.scoring, weigh_words=plan.weigh_words):
            return weigh_equally(features, num_labels=len(bank))
        return await self._pool.run_steps(weigh_frames(features, bank, tau=self._manifest.scoring.tau))

    async def _compare(
        self,
        features: Float32[np.ndarray, "V K D"],
        banks: Sequence[FetchedBank],
        weights: Sequence[Float32[np.ndarray, "V _ K"]],
        *,
        plan: LanguagePlan,
    ) -> Scores:
        bank = _join(banks)
        steps = score_weighted(
            features,
            bank,
            join_weights(weights),
            scoring=self._manifest.scoring,
            fusion_lambda=plan.fusion_lambda,
        )
        return await self._pool.run_steps(steps)


class ClosedScorer:
    """The classes that the model was trained to tell apart, by its logits; no text is embedded."""

    def __init__(self, vocabulary: ClosedVocabulary, *, pool: ScoringPool) -> None:
        self._vocabulary = vocabulary
        self._pool = pool

    @property
    def classes(self) -> tuple[Label, ...]:
        """All classes of the bundle."""
        return self._vocabulary.classes

    def select(self, question: Question) -> Selection:
        """Find the classes that labels name."""
        _refuse_text_options(question)
        indices = self._vocabulary.find(question.labels)
        labels = tuple(self.classes[index] for index in indices)
        return Selection(labels, class_indices=indices, warnings=self._warn_of_part(len(labels)))

    async def score(
        self,
        features: Float32[np.ndarray, "V 1 C"],
        *,
        selection: Selection,
        question: Question,  # noqa: ARG002
        deadline: Deadline,
        stopwatch: Stopwatch,
    ) -> Scored:
        """Take the probabilities among all classes."""
        assert selection.class_indices is not None
        with stopwatch.stage("score"):
            async with deadline.guard("the scoring of labels"):
                return Scored(await self._pool.run(partial(score_classes, features, indices=selection.class_indices)))

    def _warn_of_part(self, num_asked: int) -> tuple[str, ...]:
        num_classes = len(self.classes)
        if num_asked == num_classes:
            return ()
        return (
            f"probabilities are among all {num_classes} classes of this bundle, of which {num_asked} are asked for",
        )


def build_scorer(
    manifest: Manifest, *, label_banks: LabelBanks, dictionary: LabelDictionary, pool: ScoringPool
) -> Scorer:
    """Choose the scorer of a bundle's vocabulary."""
    classes = manifest.closed_vocabulary
    if classes is not None:
        return ClosedScorer(ClosedVocabulary(classes), pool=pool)
    return OpenScorer(manifest, label_banks=label_banks, dictionary=dictionary, pool=pool)


def _refuse_text_options(question: Question) -> None:
    for name, value in (("lambda", question.fusion_lambda), ("template", question.template)):
        if value is not None:
            raise ImpossibleRequestError(
                f"{name} is {shorten(value)}, but the vocabulary of this bundle is closed: its classes are not "
                f"compared with text; leave {name} out"
            )


def _cut(num_labels: int, *, num_views: int) -> Iterator[slice]:
    """Cut labels into parts, each a multiple of those whose words weigh frames together."""
    chunk = labels_per_chunk(num_views)
    size = chunk * -(-_PART_LABELS // chunk)
    return (slice(first, first + size) for first in range(0, num_labels, size))


def _join(fetched: Sequence[FetchedBank]) -> LabelBank:
    """Put the embeddings of all parts together."""
    english, chinese = (
        [own for bank in fetched if (own := getattr(bank.bank, name)) is not None] for name in ("english", "chinese")
    )
    return LabelBank(
        english=np.concatenate(english) if english else None, chinese=np.concatenate(chinese) if chinese else None
    )
