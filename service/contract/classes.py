"""The closed vocabulary of a classifier: which classes labels name, and how logits become scores.

Nothing is compared with text here; open vocabularies are scored in ``scoring``.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from difflib import get_close_matches

import numpy as np
from jaxtyping import Float32, Int64

from service.contract.errors import LabelError
from service.contract.labels import Label, Language, text_key
from service.contract.scoring import Scores, softmax
from service.contract.wording import list_some, shorten

_NUM_NEAREST = 3


class ClosedVocabulary:
    """The classes that a model was trained to tell apart; other labels have no score."""

    def __init__(self, classes: Sequence[Label]) -> None:
        self.classes = tuple(classes)
        self._indices_of: dict[tuple[Language, str], set[int]] = defaultdict(set)
        for index, label in enumerate(self.classes):
            for key in _keys(label):
                self._indices_of[key].add(index)

    def find(self, labels: Sequence[Label]) -> Int64[np.ndarray, " L"]:
        """Find the class that each label names, in either language; case and character width do not matter.

        Of a label in two languages one text suffices, as long as the other does not name another class.

        Raises:
            LabelError: labels that are no class, with the nearest names; a label that several classes share in its
                language; or two labels that name one class.
        """
        found = [self._candidates(label) for label in labels]
        if outside := [label for label, own in zip(labels, found, strict=True) if not own]:
            raise LabelError(self._refuse(outside))
        indices: list[int] = []
        for label, own in zip(labels, found, strict=True):
            if len(own) > 1:
                shared = ", ".join(repr(str(self.classes[each])) for each in sorted(own))
                raise LabelError(
                    f"label {shorten(str(label))} names {len(own)} classes: {shared}; give it in both languages"
                )
            [index] = own
            if index in indices:
                raise LabelError(
                    f"labels {indices.index(index) + 1} and {len(indices) + 1} both name the class "
                    f"{str(self.classes[index])!r}; remove one"
                )
            indices.append(index)
        return np.array(indices, dtype=np.int64)

    def _candidates(self, label: Label) -> set[int]:
        named = [self._indices_of[key] for key in _keys(label) if key in self._indices_of]
        return set.intersection(*named) if named else set()

    def _refuse(self, outside: Sequence[Label]) -> str:
        """Name labels that are no classes, each with the nearest names."""
        named = list_some(
            outside, render=lambda label: f"{shorten(str(label))} (nearest: {self._nearest(label)})", separator="; "
        )
        return (
            f"the vocabulary of this bundle is closed, with {len(self.classes)} classes, and these are none of them: "
            f"{named}; give names of its classes, or no labels at all for every class"
        )

    def _nearest(self, label: Label) -> str:
        # The language that was asked in answers; a pair is looked up by its English.
        language: Language = "zh" if label.en is None else "en"
        names = {text_key(text): text for each in self.classes if (text := each.text(language)) is not None}
        nearest = get_close_matches(text_key(label.text(language) or ""), names, n=_NUM_NEAREST, cutoff=0.0)
        return ", ".join(repr(names[key]) for key in nearest) or "none in this language"


def score_classes(logits: Float32[np.ndarray, "V 1 C"], *, indices: Int64[np.ndarray, " L"]) -> Scores:
    """Score the classes at ``indices``: softmax over all classes of each view, then the mean over the views.

    Probabilities are those among all classes, so those of a part sum to less than 1. The score is the mean logit.
    """
    by_view = logits[:, 0, :]
    probability = softmax(by_view, axis=1).mean(axis=0)
    return Scores(
        similarity_en=None,
        similarity_zh=None,
        score=by_view.mean(axis=0)[indices],
        probability=probability[indices],
        frame_weights=np.ones((len(by_view), len(indices), 1), dtype=np.float32),
    )


def _keys(label: Label) -> Iterator[tuple[Language, str]]:
    if label.en is not None:
        yield "en", text_key(label.en)
    if label.zh is not None:
        yield "zh", text_key(label.zh)
