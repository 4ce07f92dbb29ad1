"""The Kinetics label dictionaries: complete, in the data sets' order, and unambiguous in both languages."""

import re
from hashlib import sha256

import pytest

from service.contract.labels import LabelTable, load_builtin_label_tables, text_key
from tests.material import LISTS

# Lists of the data sets' own class names lie beside some checkouts.
TABLES = load_builtin_label_tables()
K400, K600 = TABLES["kinetics_400"], TABLES["kinetics_600"]
BOTH = pytest.mark.parametrize("table", [K400, K600], ids=["kinetics_400", "kinetics_600"])
# Chinese itself writes karaoke and the song of the horse-riding dance with these Latin letters.
CHINESE = re.compile(r"[\u4e00-\u9fff]+|唱卡拉OK|跳江南Style骑马舞")


def chinese_of(table: LabelTable) -> dict[str, str | None]:
    return {text_key(name): label.zh for name, label in zip(table.originals, table.labels, strict=True)}


@pytest.mark.parametrize(
    ("table", "num_classes", "digest"),
    [
        (K400, 400, "e9f2806fe9109b851a80a74841244f6f8c9d10917fa0229cd82bab67f2f8e28f"),
        (K600, 600, "8dfca4202520ea8291ce0242ef33b006d0a0772b409663c090a2876bc1978dcf"),
    ],
    ids=["kinetics_400", "kinetics_600"],
)
def test_the_original_names_are_those_of_the_data_set_in_its_order(
    table: LabelTable, num_classes: int, digest: str
) -> None:
    assert len(table.originals) == num_classes
    assert sha256("".join(f"{name}\n" for name in table.originals).encode()).hexdigest() == digest


@pytest.mark.material
@pytest.mark.parametrize(("table", "file"), [(K400, "k400.txt"), (K600, "k600.txt")])
def test_the_original_names_equal_a_published_list(table: LabelTable, file: str) -> None:
    assert list(table.originals) == (LISTS / "mmaction2" / file).read_text(encoding="utf-8").splitlines()


# The data set misspells this one.
CORRECTED = {"dying hair": "dyeing hair"}


@BOTH
@pytest.mark.parametrize("language", ["en", "zh"])
def test_no_two_classes_share_a_text(table: LabelTable, language: str) -> None:
    texts = [text_key(getattr(label, language)) for label in table.labels]
    assert sorted(texts) == sorted(set(texts))


@BOTH
def test_a_display_name_is_the_original_in_lower_case_with_words_separated(table: LabelTable) -> None:
    glued = [CORRECTED.get(name, name).lower().replace(" ", "") for name in table.originals]
    assert [(label.en or "").replace(" ", "") for label in table.labels] == glued


@BOTH
def test_chinese_is_written_in_han_characters_but_where_chinese_uses_latin_letters(table: LabelTable) -> None:
    assert [label.zh for label in table.labels if not CHINESE.fullmatch(label.zh or "")] == []


@BOTH
def test_chinese_is_simplified(table: LabelTable) -> None:
    text = "".join(label.zh or "" for label in table.labels)
    assert text.encode("gb2312").decode("gb2312") == text  # The character set of simplified Chinese alone.


def test_classes_of_both_data_sets_have_the_same_chinese() -> None:
    smaller, larger = chinese_of(K400), chinese_of(K600)
    shared = smaller.keys() & larger.keys()
    assert len(shared) == 369
    assert {name: smaller[name] for name in shared} == {name: larger[name] for name in shared}


@pytest.mark.parametrize(
    ("name", "chinese"),
    [
        ("abseiling", "绕绳下降"),
        ("square dancing", "跳方块舞"),
        ("dodgeball", "打躲避球"),
        ("playing recorder", "吹竖笛"),
        ("moon walking", "跳太空步"),
        ("surfing crowd", "人群冲浪"),
    ],
)
def test_names_that_word_by_word_translation_gets_wrong(name: str, chinese: str) -> None:
    assert chinese_of(K600)[name] == chinese
