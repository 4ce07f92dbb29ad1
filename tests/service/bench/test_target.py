"""What is asked for: the label set that was chosen, or the one that makes most sense for the bundle."""

import pytest

from service.api.schemas import LabelSetSummary
from service.bench.plan import BenchError
from service.bench.target import Subject, choose_label_set
from service.contract.manifest import Manifest
from tests.bundles import CLASSIFIER, manifest_fields

OWN = LabelSetSummary(name="own", num_labels=2, languages=("en",), source="bundle")
KINETICS = LabelSetSummary(name="kinetics_400", num_labels=400, languages=("en", "zh"), source="built-in")
UCF = LabelSetSummary(name="ucf101", num_labels=101, languages=("en", "zh"), source="built-in")


def manifest(**changes: object) -> Manifest:
    return Manifest.model_validate(manifest_fields(**changes))


@pytest.mark.parametrize(
    ("wanted", "stored", "chosen"),
    [(None, (OWN, KINETICS), OWN), (None, (KINETICS, UCF), KINETICS), ("ucf101", (OWN, KINETICS, UCF), UCF)],
)
def test_bundle_is_asked_for_its_own_labels_unless_told_otherwise(
    wanted: str | None, stored: tuple[LabelSetSummary, ...], chosen: LabelSetSummary
) -> None:
    assert choose_label_set(wanted, manifest=manifest(), stored=stored) == chosen


@pytest.mark.parametrize(
    ("wanted", "stored", "message"),
    [
        ("nope", (UCF, OWN), "--label-set is 'nope', which is not stored here; known are: own, ucf101"),
        (None, (), "--label-set is 'kinetics_400', which is not stored here; known are: none"),
    ],
)
def test_label_set_that_is_not_stored_is_named(
    wanted: str | None, stored: tuple[LabelSetSummary, ...], message: str
) -> None:
    with pytest.raises(BenchError) as raised:
        choose_label_set(wanted, manifest=manifest(), stored=stored)
    assert str(raised.value) == message


def test_closed_vocabulary_is_asked_for_its_classes() -> None:
    closed = manifest(**CLASSIFIER)
    assert choose_label_set(None, manifest=closed, stored=(KINETICS,)) is None
    assert Subject.of(closed, digest="d", label_set=None).num_labels == len(closed.classes)
    with pytest.raises(BenchError, match=r"--label-set is 'ucf101', but the vocabulary of .* is closed; leave it out"):
        choose_label_set("ucf101", manifest=closed, stored=(UCF,))
