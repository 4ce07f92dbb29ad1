"""Labels find the classes of a closed vocabulary; logits become probabilities among all classes."""

import numpy as np
import pytest

from service.contract.classes import ClosedVocabulary, score_classes
from service.contract.errors import LabelError
from service.contract.labels import Label

CLASSES = (
    Label("moving left", "向左移动"),
    Label("moving right", "向右移动"),
    Label("pushing", "推"),
    Label("shoving", "推"),
    Label("growing"),
)
VOCABULARY = ClosedVocabulary(CLASSES)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (CLASSES, [0, 1, 2, 3, 4]),
        ((Label("growing"), Label("moving left")), [4, 0]),
        ((Label("MOVING LEFT"), Label(zh="向右移动")), [0, 1]),
        ((Label("moving left", "左移"), Label("going right", "向右移动")), [0, 1]),
        ((Label("shoving", "推"), Label("growing", "变大")), [3, 4]),
    ],
)
def test_a_class_is_found_by_its_name_in_either_language(labels: tuple[Label, ...], expected: list[int]) -> None:
    assert VOCABULARY.find(labels).tolist() == expected


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (
            (Label("moving left"), Label("moving lift"), Label(zh="向上移动")),
            "with 5 classes, and these are none of them: 'moving lift' (nearest: 'moving left', 'moving right', "
            "'shoving'); '向上移动' (nearest: '向左移动', '向右移动', '推'); give names of its classes",
        ),
        ((Label("moving left", "向右移动"),), "'moving left / 向右移动' (nearest: 'moving left', 'moving right'"),
        (tuple(Label(f"act {i}") for i in range(7)), "'act 4' (nearest: "),
        (tuple(Label(f"act {i}") for i in range(7)), ") and 2 more; give names"),
        ((Label(zh="推"),), "label '推' names 2 classes: 'pushing / 推', 'shoving / 推'; give it in both languages"),
        (
            (Label("growing"), Label("moving left"), Label(zh="向左移动")),
            "labels 2 and 3 both name the class 'moving left / 向左移动'; remove one",
        ),
    ],
)
def test_a_label_that_is_no_one_class_is_refused(labels: tuple[Label, ...], message: str) -> None:
    with pytest.raises(LabelError) as error:
        VOCABULARY.find(labels)
    assert message in str(error.value)


def test_a_language_without_classes_has_no_nearest_names() -> None:
    with pytest.raises(LabelError, match=r"'变大' \(nearest: none in this language\)"):
        ClosedVocabulary((Label("growing"),)).find((Label(zh="变大"),))


def test_probabilities_are_softmaxes_of_views_averaged_and_then_restricted() -> None:
    logits = np.log(np.array([[[1, 2, 5]], [[3, 3, 2]]], dtype=np.float32))
    scores = score_classes(logits, indices=np.array([2, 0]))
    np.testing.assert_allclose(scores.probability, [(5 / 8 + 2 / 8) / 2, (1 / 8 + 3 / 8) / 2], rtol=1e-6)
    np.testing.assert_allclose(scores.score, [np.log(10) / 2, np.log(3) / 2], rtol=1e-6)
    assert (scores.similarity_en, scores.similarity_zh) == (None, None)
    assert scores.frame_weights.tolist() == [[[1.0], [1.0]]] * 2
    assert scores.ranking.tolist() == [0, 1]
