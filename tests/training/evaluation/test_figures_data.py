"""The numbers behind the figures: confusion, clusters, the curve of lambda, names and groups of labels."""

import json

import numpy as np
import pytest

from service.contract.labels import Label
from service.contract.manifest import Lambda
from training.data.motion_shapes import motion_shapes_labels
from training.errors import DataError
from training.evaluation.figures.confusion import count_confusion, describe_confusion, draw_confusion
from training.evaluation.figures.lambda_curve import describe_lambda
from training.evaluation.figures.panels import enlarge
from training.evaluation.figures.style import LabelGroups, group_labels, label_name
from training.evaluation.figures.tsne import describe_projection, draw_projections, pool_frames, project
from training.evaluation.protocols import LambdaSweep

LABELS = tuple(Label(en, None) for en in ("run", "walk", "jump", "sit"))
TRUE, PREDICTED = np.array([0, 0, 0, 1, 2]), np.array([0, 1, 1, 1, 0])
MOTION = tuple(Label(each.en, each.zh) for each in motion_shapes_labels())


def test_confusion_counts_true_labels_in_rows() -> None:
    confusion = count_confusion(PREDICTED, TRUE, groups=None)
    assert confusion.label_ids.tolist() == [0, 1, 2]
    assert confusion.counts.tolist() == [[1, 2, 0], [0, 1, 0], [1, 0, 0]]


def test_confusion_stands_group_by_group() -> None:
    confusion = count_confusion(PREDICTED, TRUE, groups=LabelGroups(("a", "b"), np.array([1, 0, 1, 0])))
    assert confusion.label_ids.tolist() == [1, 0, 2]
    assert confusion.counts.tolist() == [[1, 0, 0], [2, 1, 0], [0, 1, 0]]


def test_confused_pairs_are_named_from_most_to_least() -> None:
    described = describe_confusion(count_confusion(PREDICTED, TRUE, groups=None), labels=LABELS)
    assert described == {
        "num_videos": 5,
        "top1": 0.4,
        "labels": ["run", "walk", "jump"],
        "counts": [[1, 2, 0], [0, 1, 0], [1, 0, 0]],
        "most_confused": [
            {"true": "run", "predicted": "walk", "num_videos": 2, "share": 2 / 3},
            {"true": "jump", "predicted": "run", "num_videos": 1, "share": 1.0},
        ],
    }


@pytest.mark.parametrize(
    ("labels", "label_ids", "ticks"),
    [
        (LABELS, [0, 2], ["run", "jump"]),
        (MOTION, range(96), ["left", "right", "up", "down", "growing", "shrinking", "clockwise", "counter-clockwise",
                             "approaching", "separating", "appearing", "vanishing"]),
        ([Label(f"action {n}") for n in range(61)], range(61), [f"label {n}" for n in range(0, 61, 4)]),
    ],
)  # fmt: skip
def test_confusion_names_labels_then_groups_then_numbers(
    labels: tuple[Label, ...], label_ids: list[int], ticks: list[str]
) -> None:
    ids = np.array(label_ids)
    figure = draw_confusion(count_confusion(ids, ids, groups=group_labels(labels)), labels=labels, title="")
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ticks


def test_labels_of_the_same_action_are_one_group() -> None:
    groups = group_labels(MOTION[:14])
    assert groups is not None
    assert groups.group_ids.tolist() == [*range(12), 0, 1]
    assert groups.names[:2] == ("left", "right")
    assert group_labels(LABELS) is None


@pytest.mark.parametrize(
    ("label", "name"),
    [
        (Label("waving", "挥手"), "waving"),
        (Label(None, "挥手"), "label 0"),
        (Label("x" * 36), "x" * 36),
        (Label("x" * 37), "x" * 35 + "…"),
        (Label("paying $5"), r"paying \$5"),
    ],
)
def test_labels_are_named_in_english(label: Label, name: str) -> None:
    assert label_name([label], 0) == name


def test_embedding_is_the_mean_of_frames_at_unit_length() -> None:
    features = np.array([[[[1, 0], [0, 1]]], [[[0, 1], [0, 1]]]], dtype=np.float32)
    np.testing.assert_allclose(pool_frames(features), [[0.5**0.5, 0.5**0.5], [0, 1]], rtol=1e-6)


def test_clusters_that_are_the_labels_agree_fully_and_the_same_every_time() -> None:
    rng = np.random.default_rng(0)
    label_ids = np.repeat([3, 5], 6)
    embeddings = (np.eye(4)[label_ids - 3] + 0.01 * rng.normal(size=(12, 4))).astype(np.float32)
    projection = project(embeddings, label_ids, seed=0)
    figures = describe_projection(projection)
    assert figures == describe_projection(project(embeddings, label_ids, seed=0))
    assert np.array(figures.pop("points")).shape == (12, 2)
    assert figures == pytest.approx(
        {"perplexity": 11 / 3, "num_clusters": 2, "homogeneity": 1, "completeness": 1, "v_measure": 1}
    )


def test_too_few_videos_are_refused() -> None:
    with pytest.raises(DataError, match="t-SNE was asked of 2 videos; it needs at least 3, so choose a larger split"):
        project(np.eye(2, dtype=np.float32), np.array([0, 1]), seed=0)


@pytest.mark.parametrize(
    ("labels", "num_labels", "names"),
    [
        (LABELS, 3, ["run", "walk", "jump"]),
        (MOTION, 21, ["left", "right"]),
        ([Label(str(n)) for n in range(21)], 21, []),
    ],
)
def test_many_labels_are_coloured_by_group_or_have_no_legend(
    labels: tuple[Label, ...], num_labels: int, names: list[str]
) -> None:
    label_ids = np.arange(num_labels)
    projection = project(np.eye(num_labels, dtype=np.float32), label_ids, seed=0)
    figure = draw_projections({"one": projection}, label_ids, labels=labels, groups=group_labels(labels))
    assert [text.get_text() for each in figure.legends for text in each.get_texts()][: len(names) or 1] == names


def test_curve_of_lambda_is_told_with_its_choice() -> None:
    sweep = LambdaSweep(top1={0.0: 0.5, 0.5: 0.75, 1.0: 0.25}, split="val", num_videos=4)
    assert json.loads(json.dumps(describe_lambda(sweep, fusion=Lambda(value=0.5, chosen="best")))) == {
        "split": "val", "num_videos": 4, "lambda": [0.0, 0.5, 1.0], "top1": [0.5, 0.75, 0.25], "chosen": 0.5,
        "how": "best",
    }  # fmt: skip


def test_maps_are_enlarged_between_the_centres_of_patches() -> None:
    assert enlarge(np.array([[0, 4], [0, 4]], dtype=np.float32), size=4)[0].tolist() == [0, 1, 3, 4]


def test_videos_that_coincide_are_drawn_and_their_clusters_say_nothing() -> None:
    projection = project(np.ones((4, 2), dtype=np.float32), np.array([0, 0, 1, 1]), seed=0)
    assert np.isfinite(projection.points).all()
    assert (projection.num_clusters, projection.homogeneity, projection.v_measure) == (2, 0, 0)
