"""Checksums of label orders: blind to spelling, not to order, and known for public lists."""

import pytest

from service.contract.labels import load_builtin_label_tables
from training.data.datasets.label_orders import KNOWN_ORDERS, describe_order, order_checksum

DICTIONARIES = {name: table.originals for name, table in load_builtin_label_tables().items()}


def test_checksum_is_of_folded_names_in_order() -> None:
    assert order_checksum(["brush_hair", "Kick Ball"]) == order_checksum(["BrushHair", "kick-ball"])
    assert order_checksum(["kick", "run"]) != order_checksum(["run", "kick"])
    assert order_checksum(["Run", "kick ball"]).startswith("c48302d5b83570c6")


def test_unknown_order_says_so() -> None:
    order = describe_order(["run", "kick"])
    assert (order.known, order.notes) == (None, ())
    assert str(order) == f"2 labels, order {order.checksum[:12]}: no order that is known here"


@pytest.mark.parametrize(
    ("data_set", "known"),
    [
        ("hmdb51", "HMDB51 in its standard order"),
        ("ucf101", "UCF101 in its standard order"),
        ("kinetics_400", "Kinetics-400 in its standard order"),
        ("kinetics_600", "Kinetics-600 in its standard order"),
        ("something_something_v1", "Something-Something v1 in its own order"),
        ("something_something_v2", "Something-Something v2 in its standard order"),
    ],
)
def test_dictionaries_are_in_the_public_order(data_set: str, known: str) -> None:
    order = describe_order(DICTIONARIES[data_set])
    assert (order.known, order.notes) == (known, ())


def test_order_of_a_dictionary_without_a_public_one_is_known() -> None:
    assert describe_order(DICTIONARIES["motion_shapes"]).known == "motion_shapes in the order of its dictionary"


def test_exchanged_names_are_the_same_classes_at_other_places() -> None:
    first, second, *rest = DICTIONARIES["motion_shapes"]
    order = describe_order([second, first, *rest])
    assert order.known is None
    assert order.notes == ("the classes of motion_shapes, 2 of them at other places, from 0 on",)


def test_known_trap_of_hmdb51_is_named() -> None:
    swapped = {"kick": "kick ball", "kick_ball": "kick", "sword": "sword exercise", "sword_exercise": "sword"}
    order = describe_order([swapped.get(name, name) for name in DICTIONARIES["hmdb51"]])
    assert str(order.known).startswith("HMDB51 with kick and kick ball, sword and sword exercise exchanged")


def test_other_spellings_are_told() -> None:
    names = ["HandstandPushups" if name == "HandStandPushups" else name for name in DICTIONARIES["ucf101"]]
    assert describe_order(names).notes == (
        "1 of 101 names are spelled otherwise than by the data set: 'HandstandPushups' for 'HandStandPushups'",
    )


def test_known_orders_have_checksums_of_one_length() -> None:
    assert {len(checksum) for checksum in KNOWN_ORDERS} == {16}
