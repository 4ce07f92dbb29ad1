"""How labels are scored: by what texts mean where the vocabulary is open, by logits where it is closed."""

import asyncio
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Int64

from service.contract.classes import ClosedVocabulary, score_classes
from service.contract.errors import ImpossibleRequestError
from service.contract.labels import Label, LabelDictionary
from service.contract.languages import LanguagePlan, plan_languages
from service.contract.manifest import Manifest
from service.contract.scoring import LabelBank, Scores, score_labels
from service.encoders.time_limit import TimeLimit
from service.labels.banks import LabelBanks
from service.recognition.questions import Question


@dataclass(frozen=True)
class Selection:
    """The labels that a question asks to be scored, and how: in which languages, or as which classes."""

    labels: tuple[Label, ...]
    languages: LanguagePlan | None = None
    class_indices: Int64[np.ndarray, " L"] | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class SelectionTexts:
    """The embedded texts of a selection, which a closed vocabulary does without, and where they came from."""

    bank: LabelBank | None = None
    num_hits: int = 0
    num_misses: int = 0
    warnings: tuple[str, ...] = ()


@runtime_checkable
class Scorer(Protocol):
    """One way to score labels, in three steps: what is cheap and may refuse, what waits for text towers, arithmetic."""

    @property
    def classes(self) -> tuple[Label, ...] | None:
        """The labels that are asked for where a question names none; None where it must."""
        ...

    async def select(self, question: Question) -> Selection:
        """Settle what is asked, before it costs anything.

        Raises:
            LabelError, ImpossibleRequestError: the bundle cannot score this.
        """
        ...

    async def fetch(self, selection: Selection, *, question: Question, limit: TimeLimit) -> SelectionTexts:
        """Fetch the texts that are compared.

        Raises:
            EncoderUnavailableError: a text tower does not answer.
        """
        ...

    def score(self, features: Float32[np.ndarray, "V K D"], *, selection: Selection, texts: SelectionTexts) -> Scores:
        """Score the labels of a selection by the features of a video."""
        ...


class OpenScorer:
    """Any labels, by the cosines of their texts with frame features, fused over the languages."""

    classes: tuple[Label, ...] | None = None

    def __init__(self, manifest: Manifest, *, label_banks: LabelBanks, dictionary: LabelDictionary) -> None:
        self._manifest = manifest
        self._label_banks = label_banks
        self._dictionary = dictionary

    async def select(self, question: Question) -> Selection:
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

    async def fetch(self, selection: Selection, *, question: Question, limit: TimeLimit) -> SelectionTexts:
        """Fetch the label bank, embedding what is not known yet."""
        assert selection.languages is not None
        found = await self._label_banks.fetch(
            selection.labels, plan=selection.languages, template=question.template, limit=limit
        )
        return SelectionTexts(found.bank, found.num_hits, found.num_misses, found.warnings)

    def score(self, features: Float32[np.ndarray, "V K D"], *, selection: Selection, texts: SelectionTexts) -> Scores:
        """Weigh frames, compare and fuse."""
        assert selection.languages is not None
        assert texts.bank is not None
        return score_labels(
            features,
            texts.bank,
            scoring=self._manifest.scoring,
            fusion_lambda=selection.languages.fusion_lambda,
            weigh_words=selection.languages.weigh_words,
        )


class ClosedScorer:
    """The classes that the model was trained to tell apart, by its logits; no text is embedded."""

    def __init__(self, vocabulary: ClosedVocabulary) -> None:
        self._vocabulary = vocabulary

    @property
    def classes(self) -> tuple[Label, ...]:
        """All classes of the bundle."""
        return self._vocabulary.classes

    async def select(self, question: Question) -> Selection:
        """Find the classes that labels name."""
        _refuse_text_options(question)
        # In a thread: the search for the nearest names takes a while.
        indices = await asyncio.to_thread(self._vocabulary.find, question.labels)
        labels = tuple(self.classes[index] for index in indices)
        return Selection(labels, class_indices=indices, warnings=self._warn_of_part(len(labels)))

    async def fetch(self, selection: Selection, *, question: Question, limit: TimeLimit) -> SelectionTexts:  # noqa: ARG002
        """Need no texts."""
        return SelectionTexts()

    def score(
        self,
        features: Float32[np.ndarray, "V 1 C"],
        *,
        selection: Selection,
        texts: SelectionTexts,  # noqa: ARG002
    ) -> Scores:
        """Take the probabilities among all classes."""
        assert selection.class_indices is not None
        return score_classes(features, indices=selection.class_indices)

    def _warn_of_part(self, num_asked: int) -> tuple[str, ...]:
        num_classes = len(self.classes)
        if num_asked == num_classes:
            return ()
        return (
            f"probabilities are among all {num_classes} classes of this bundle, of which {num_asked} are asked for",
        )


def build_scorer(manifest: Manifest, *, label_banks: LabelBanks, dictionary: LabelDictionary) -> Scorer:
    """Choose the scorer of a bundle's vocabulary."""
    classes = manifest.closed_vocabulary
    if classes is not None:
        return ClosedScorer(ClosedVocabulary(classes))
    return OpenScorer(manifest, label_banks=label_banks, dictionary=dictionary)


def _refuse_text_options(question: Question) -> None:
    for name, value in (("lambda", question.fusion_lambda), ("template", question.template)):
        if value is not None:
            raise ImpossibleRequestError(
                f"{name} is {value!r}, but the vocabulary of this bundle is closed: its classes are not compared with "
                f"text; leave {name} out"
            )
