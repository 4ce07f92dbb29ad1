"""The label dictionaries of HMDB51, UCF101 and Something-Something: complete, in their order, one text a meaning."""

import csv
import hashlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from service.contract import labels
from service.contract.labels import Label, LabelDictionary, LabelTable, load_builtin_label_tables, text_key
from tests.material import LISTS

NAMES = ("hmdb51", "ucf101", "something_something_v1", "something_something_v2")
SOMETHING = NAMES[2:]
DICTIONARIES = Path(labels.__file__).parent / "data" / "labels"


@pytest.fixture(scope="module")
def tables() -> Mapping[str, LabelTable]:
    return load_builtin_label_tables()


def texts_of(table: LabelTable) -> dict[str, str]:
    return {label.en or "": label.zh or "" for label in table.labels}


@pytest.mark.parametrize(
    ("name", "num_labels", "digest"),
    [
        ("hmdb51", 51, "154ef596b60371212a4963ee5f33996f926eb53ca8e44fa2499c8267f9db561e"),
        ("ucf101", 101, "0463febf2c32394469314c43d60a13929dc47af9069bfce918e36806cc8efaeb"),
        ("something_something_v1", 174, "28d842f1129a9320282494463f0e7bc09bf05ad9e06adab157a8f27e34466d87"),
        ("something_something_v2", 174, "a31a2ad624a558d609762c50f4d5d4778246d3ace6717cf24b993b0bf2d9a68b"),
    ],
)
def test_classes_stand_in_the_order_of_the_data_set(
    tables: dict[str, LabelTable], name: str, num_labels: int, digest: str
) -> None:
    originals = tables[name].originals
    assert len(originals) == num_labels
    assert hashlib.sha256("\n".join(originals).encode()).hexdigest() == digest


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("hmdb51", {20: "kick", 21: "kick_ball", 44: "sword", 45: "sword_exercise", 50: "wave"}),
        ("ucf101", {0: "ApplyEyeMakeup", 36: "HandStandPushups", 37: "HandstandWalking", 100: "YoYo"}),
        ("something_something_v1", {0: "Holding something", 173: "Poking a hole into some substance"}),
        (
            "something_something_v2",
            {0: "Approaching something with your camera", 173: "Wiping something off of something"},
        ),
    ],
)
def test_classes_that_published_lists_exchange_keep_their_numbers(
    tables: dict[str, LabelTable], name: str, expected: dict[int, str]
) -> None:
    assert {index: tables[name].originals[index] for index in expected} == expected


@pytest.mark.parametrize("name", NAMES)
def test_every_class_has_one_text_of_its_own_in_each_language(tables: dict[str, LabelTable], name: str) -> None:
    table = tables[name]
    texts = [{text_key(text) for text in column} for column in zip(*texts_of(table).items(), strict=True)]
    assert [len(column) for column in texts] == [len(table.labels)] * 2
    assert "" not in set.union(*texts)


def test_same_english_has_the_same_chinese_in_every_dictionary(tables: dict[str, LabelTable]) -> None:
    found: dict[str, set[str]] = {}
    for table in tables.values():
        for english, chinese in texts_of(table).items():
            found.setdefault(text_key(english), set()).add(chinese)
    assert {english: chinese for english, chinese in found.items() if len(chinese) > 1} == {}


@pytest.mark.parametrize("name", NAMES)
def test_chinese_is_han_with_chinese_commas_alone(tables: dict[str, LabelTable], name: str) -> None:
    chinese = texts_of(tables[name]).values()
    assert [text for text in chinese if not re.fullmatch(r"[\u4e00-\u9fff]+([，、][\u4e00-\u9fff]+)*", text)] == []


@pytest.mark.parametrize("name", ["hmdb51", "ucf101"])
def test_display_name_is_the_original_in_separate_lower_case_words(tables: dict[str, LabelTable], name: str) -> None:
    table = tables[name]
    assert [label.en for label in table.labels if not re.fullmatch("[a-z]+( [a-z]+)*", label.en or "")] == []
    glued = [(label.en or "").replace(" ", "") for label in table.labels]
    assert glued == [original.replace("_", "").lower() for original in table.originals]


@pytest.mark.parametrize(
    ("original", "expected"),
    [
        ("ApplyEyeMakeup", "化眼妆"),
        ("HandstandPushups", "倒立俯卧撑"),
        ("brush_hair", "梳头"),
        ("Pushing something from left to right", "从左向右推某物"),
    ],
)
def test_original_name_finds_its_chinese(tables: dict[str, LabelTable], original: str, expected: str) -> None:
    dictionary = LabelDictionary.joined([table.dictionary for table in tables.values()])
    assert dictionary.complete(Label(original)) == Label(original, expected)


@pytest.mark.parametrize("name", SOMETHING)
def test_templates_are_shown_as_the_data_set_writes_them(tables: dict[str, LabelTable], name: str) -> None:
    assert tuple(label.en for label in tables[name].labels) == tables[name].originals


def test_both_versions_of_something_something_say_the_same(tables: dict[str, LabelTable]) -> None:
    first, second = (texts_of(tables[name]) for name in SOMETHING)
    assert first == second
    assert list(first) != list(second)


def swap(*words: str) -> Callable[[str], str]:
    """Exchange two words of a text with each other."""
    other = dict(zip(words, reversed(words), strict=True))
    return lambda text: re.sub("|".join(words), lambda found: other[found[0]], text)


@pytest.mark.parametrize("pair", [(86, 87), (93, 94), (166, 167)])
def test_left_and_right_are_mirror_images_in_both_languages(
    tables: dict[str, LabelTable], pair: tuple[int, int]
) -> None:
    one, other = (tables["something_something_v2"].labels[index] for index in pair)
    assert (swap("left", "right")(one.en or ""), swap("左", "右")(one.zh or "")) == (other.en, other.zh)


@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        ("Moving something up", "Moving something down", "上下"),
        (
            "Turning the camera upwards while filming something",
            "Turning the camera downwards while filming something",
            "上下",
        ),
        ("Moving something towards the camera", "Moving something away from the camera", "向离"),
        ("Moving something closer to something", "Moving something away from something", "近离"),
    ],
)
def test_opposite_directions_differ_in_the_direction_alone(
    tables: dict[str, LabelTable], one: str, other: str, words: str
) -> None:
    chinese = texts_of(tables["something_something_v2"])
    assert swap(*words)(chinese[one]) == chinese[other]


def test_chinese_has_left_and_right_only_where_english_has(tables: dict[str, LabelTable]) -> None:
    for english, chinese in texts_of(tables["something_something_v2"]).items():
        words = english.replace("right out", "").split()
        assert ("left" in words, "right" in words) == ("左" in chinese, "右" in chinese)


def test_pretending_and_doing_are_told_apart(tables: dict[str, LabelTable]) -> None:
    for english, chinese in texts_of(tables["something_something_v2"]).items():
        assert english.startswith("Pretending") == chinese.startswith("假装")
        assert english.startswith("Trying") == chinese.startswith("试图")


def test_two_things_are_named_alike_throughout(tables: dict[str, LabelTable]) -> None:
    chinese = texts_of(tables["something_something_v2"])
    twice = [chinese[text] for text in chinese if len(re.findall(r"\bsomething\b", text, re.IGNORECASE)) == 2]
    assert len(twice) == 73
    assert [text for text in twice if set(re.findall("另一物|某物", text)) != {"某物", "另一物"}] == []


@pytest.mark.material
@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("hmdb51", "mmaction2/hmdb51.txt"),
        ("ucf101", "official_ucf101/ucfTrainTestlist/classInd.txt"),
        ("something_something_v1", "mmaction2/sthv1.txt"),
        ("something_something_v2", "mmaction2/sthv2.txt"),
    ],
)
def test_original_names_equal_those_of_the_public_list(tables: dict[str, LabelTable], name: str, source: str) -> None:
    lines = (LISTS / source).read_text(encoding="utf-8").splitlines()
    assert tables[name].originals == tuple(re.sub(r"^\d+ ", "", line) for line in lines if line)


@pytest.mark.parametrize("name", NAMES)
def test_file_is_a_table_of_four_columns_with_plain_line_ends(name: str) -> None:
    raw = (DICTIONARIES / f"{name}.csv").read_bytes()
    header, *rows = csv.reader(raw.decode("utf-8").splitlines())
    assert (header, b"\r" in raw, raw.endswith(b"\n")) == (["id", "en", "zh", "original"], False, True)
    assert {len(row) for row in rows} == {4}
