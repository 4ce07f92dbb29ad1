from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.contract.errors import LabelError, MalformedRequestError
from service.contract.labels import (
    Label,
    LabelDictionary,
    LabelLimits,
    LabelTable,
    clean_text,
    has_han,
    load_builtin_label_sets,
    load_builtin_label_tables,
    parse_label,
    parse_labels,
    read_label_file,
    read_label_table,
    text_key,
)

LIMITS = LabelLimits(num_labels=3, num_characters=8)


@pytest.mark.parametrize(
    ("encoding", "name"), [("gbk", "GBK"), ("gb18030", "GBK"), ("utf-16", "UTF-16"), ("utf-16-le", "UTF-16")]
)
def test_a_table_in_another_encoding_is_named_with_its_remedy(tmp_path: Path, encoding: str, name: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_bytes("id,en,zh\n0,surf,冲浪\n".encode(encoding))
    with pytest.raises(
        LabelError, match=rf"labels.csv is not UTF-8 text but looks like {name}; save it as UTF-8"
    ) as caught:
        read_label_table(path)
    assert "\n" not in str(caught.value)


def test_a_table_of_a_european_windows_is_named(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_bytes("id,en,zh\n0,café,\n".encode("cp1252"))
    with pytest.raises(LabelError, match=r"labels.csv is not UTF-8 text but looks like CP1252"):
        read_label_table(tmp_path / "labels.csv")


def test_blanks_and_empty_last_lines_of_a_table_do_not_count(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_bytes("\ufeffid, en, zh\r\n0, surf, 冲浪\r\n1 ,\tski ,\r\n,,\r\n\r\n".encode())
    assert read_label_file(tmp_path / "labels.csv") == (Label("surf", "冲浪"), Label("ski"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [("surf", "surf"), (" a\t b\n ", "a b"), ("caf\u0065\u0301", "café"), ("\u3000冲\u00a0浪", "冲 浪")],
)
def test_text_is_composed_and_its_white_space_collapsed(text: str, expected: str) -> None:
    assert clean_text(text, limits=LIMITS) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "label '' is empty"),
        (" \n ", r"label ' \\n ' is empty"),
        ("a" * 9, "label 'aaaaaaaaa'... has 9 characters; at most 8 are allowed"),
        ("a\x00b", r"label 'a\\x00b' holds control characters"),
        ("a\ud800", r"label 'a\\ud800' holds control characters or broken surrogates"),
    ],
)
def test_bad_text_is_refused(text: str, message: str) -> None:
    with pytest.raises(LabelError, match=message):
        clean_text(text, limits=LIMITS)


@given(st.text(max_size=64))
def test_cleaning_twice_changes_nothing(text: str) -> None:
    limits = LabelLimits(num_characters=1000)
    try:
        cleaned = clean_text(text, limits=limits)
    except LabelError:
        return
    assert clean_text(cleaned, limits=limits) == cleaned


@pytest.mark.parametrize(
    "text", ["冲浪", "打 tennis", "々", "〇", "㐀", "\uf900", "\U00020000", "\U0003134a", "\U000323af"]
)
def test_han_is_found(text: str) -> None:
    assert has_han(text)


@pytest.mark.parametrize("text", ["surfing", "サーフィン", "서핑", "ａ，。", "😀", "\U000323b0", ""])
def test_other_scripts_are_not_han(text: str) -> None:
    assert not has_han(text)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("surf", Label("surf")),
        ("冲浪", Label(zh="冲浪")),
        ("T台", Label(zh="T台")),
        ({"en": " surf ", "zh": "冲浪"}, Label("surf", "冲浪")),
        ({"en": "surf"}, Label("surf")),
        ({"zh": "surf"}, Label(zh="surf")),
        ({"en": None, "zh": "冲浪"}, Label(zh="冲浪")),
    ],
)
def test_label_is_read(value: object, expected: Label) -> None:
    assert parse_label(value, limits=LIMITS) == expected


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (7, "label 7 must be a string or an object"),
        (None, "label None must be a string"),
        (["a"], r"label \['a'\] must be a string"),
        ({"en": "a", "fr": "b", "de": "c"}, r"unknown keys \['de', 'fr'\]; 'en' and 'zh' are allowed"),
        ({1: "a"}, r"unknown keys \['1'\]"),
        ({"en": 3}, "'en' must be a string, not 3"),
    ],
)
def test_label_of_the_wrong_shape_is_malformed(value: object, message: str) -> None:
    with pytest.raises(MalformedRequestError, match=message):
        parse_label(value, limits=LIMITS)


@pytest.mark.parametrize("value", [{}, {"en": None}, {"en": None, "zh": None}])
def test_label_without_text_is_refused(value: dict[str, Any]) -> None:
    with pytest.raises(LabelError, match="neither English nor Chinese text; give at least one"):
        parse_label(value, limits=LIMITS)


def test_labels_keep_their_order() -> None:
    assert parse_labels(["b", "冲浪", "a"], limits=LIMITS) == (Label("b"), Label(zh="冲浪"), Label("a"))


@pytest.mark.parametrize("values", ["surf", b"surf", {"en": "a"}, None, 3])
def test_labels_that_are_no_list_are_malformed(values: object) -> None:
    with pytest.raises(MalformedRequestError, match=f"must be a list .* not {type(values).__name__}"):
        parse_labels(values, limits=LIMITS)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([], "the label list is empty"),
        (["a", "b", "c", "d"], "4 labels were given; at most 3 are allowed"),
        (["a", "b", "A"], "label 'A' is given twice, at 1 and 3"),
        (["straße", "STRASSE"], "label 'STRASSE' is given twice, at 1 and 2"),
        (["冲浪", "冲浪"], "label '冲浪' is given twice, at 1 and 2"),
        (["ａ", "a"], "label 'a' is given twice, at 1 and 2"),
        ([{"en": "a", "zh": "甲"}, {"en": "a", "zh": "乙"}], "label 'a / 乙' is given twice, at 1 and 2"),
    ],
)
def test_bad_label_list_is_refused(values: list[object], message: str) -> None:
    with pytest.raises(LabelError, match=message):
        parse_labels(values, limits=LIMITS)


def test_two_english_labels_may_share_a_chinese_text() -> None:
    values = [{"en": "run", "zh": "跑"}, {"en": "jog", "zh": "跑"}]
    assert parse_labels(values, limits=LIMITS) == (Label("run", "跑"), Label("jog", "跑"))


@pytest.mark.parametrize(
    ("label", "expected"), [(Label("a", "甲"), "a / 甲"), (Label("a"), "a"), (Label(zh="甲"), "甲")]
)
def test_label_is_shown_with_the_texts_it_has(label: Label, expected: str) -> None:
    assert str(label) == expected
    assert (label.text("en"), label.text("zh")) == (label.en, label.zh)


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        (Label("surf"), Label("surf", "冲浪")),
        (Label("SURF"), Label("SURF", "冲浪")),
        (Label(zh="冲浪"), Label("surf", "冲浪")),
        (Label(zh="Ｔ台"), Label("catwalk", "Ｔ台")),
        (Label("wave"), Label("wave")),
        (Label(zh="跳"), Label(zh="跳")),
        (Label("surf", "滑水"), Label("surf", "滑水")),
    ],
)
def test_dictionary_adds_a_known_counterpart(label: Label, expected: Label) -> None:
    pairs = [Label("surf", "冲浪"), Label("surf", "second"), Label("alone"), Label("catwalk", "T台")]
    assert LabelDictionary.of(pairs).complete(label) == expected


@given(st.text())
def test_text_key_ignores_case_and_width_of_keys(text: str) -> None:
    assert text_key(text_key(text)) == text_key(text)


def test_label_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text('id,en,zh\n0,"hold, turn",转\n1,,跳\n2,wave,\n', encoding="utf-8-sig")
    assert read_label_file(path) == (Label("hold, turn", "转"), Label(zh="跳"), Label("wave"))


def test_original_names_are_read_beside_the_labels(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("id,en,zh,original\n0,brush hair,梳头, brush_hair\n1,golf,,\n2,,跳,\n", encoding="utf-8")
    labels = (Label("brush hair", "梳头"), Label("golf"), Label(zh="跳"))
    assert read_label_table(path) == LabelTable(labels, ("brush_hair", "golf", "跳"))


def test_texts_of_two_languages_may_be_written_alike(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("id,en,zh\n0,DJ,\n1,,DJ\n", encoding="utf-8")
    assert read_label_file(path) == (Label("DJ"), Label(zh="DJ"))


def test_label_without_an_original_name_is_called_by_its_own_text(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("id,en,zh\n0,turn,转\n1,,跳\n", encoding="utf-8")
    assert read_label_table(path) == LabelTable((Label("turn", "转"), Label(zh="跳")), ("turn", "跳"))


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        (Label("brush_HAIR"), Label("brush_HAIR", "梳头")),
        (Label("brush hair"), Label("brush hair", "梳头")),
        (Label(zh="梳头"), Label("brush hair", "梳头")),
        (Label("golf"), Label("golf", "打高尔夫")),
        (Label(zh="跳"), Label(zh="跳")),
    ],
)
def test_original_name_finds_the_counterpart_and_never_replaces_a_text(label: Label, expected: Label) -> None:
    table = LabelTable(
        (Label("brush hair", "梳头"), Label("golf", "打高尔夫"), Label("swing", "挥杆"), Label(zh="跳")),
        ("brush_hair", "golf course", "Golf", "跳"),
    )
    assert table.dictionary.complete(label) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "labels.csv must start with the header 'id,en,zh' or 'id,en,zh,original', not ''"),
        ("name,zh\n", "header 'id,en,zh' or 'id,en,zh,original', not 'name,zh'"),
        ("id,en,zh,source\n", "header 'id,en,zh' or 'id,en,zh,original', not 'id,en,zh,source'"),
        ("id,en,zh\n1,a,甲\n", r"labels.csv line 2 is \['1', 'a', '甲'\]; expected id 0, en, zh"),
        ("id,en,zh\n0,a,甲\n1,b\n", r"labels.csv line 3 is \['1', 'b'\]; expected id 1, en, zh"),
        (
            "id,en,zh\n0,a,甲\n0,b,乙\n",
            r"line 3 is \['0', 'b', '乙'\], which repeats the id of 'a / 甲'; expected id 1, en, zh",
        ),
        ("id,en,zh\n0,a,甲,A\n", r"labels.csv line 2 is \['0', 'a', '甲', 'A'\]; expected id 0, en, zh"),
        (
            "id,en,zh,original\n0,a,甲\n",
            r"labels.csv line 2 is \['0', 'a', '甲'\]; expected id 0, en, zh, original",
        ),
        ("id,en,zh,original\n0,a,,A\x07\n", r"labels.csv line 2: label 'A\\x07' holds control characters"),
        ("id,en,zh,original\n0,a,,One\n1,b,,one\n", "labels.csv: label 'one' is given twice, at 1 and 2"),
        ("id,en,zh\n0,,\n", "labels.csv line 2: a label has neither English nor Chinese text"),
        ("id,en,zh\n0,a,\n1,A,\n", "labels.csv: label 'A' is given twice, at 1 and 2"),
    ],
)
def test_bad_label_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(LabelError, match=message):
        read_label_file(path)


def test_builtin_label_sets_have_both_languages() -> None:
    labels = [label for labels in load_builtin_label_sets().values() for label in labels]
    assert [label for label in labels if label.en is None or label.zh is None] == []


def test_builtin_tables_hold_the_builtin_label_sets() -> None:
    tables = load_builtin_label_tables()
    assert {name: table.labels for name, table in tables.items()} == load_builtin_label_sets()
    assert tables["motion_shapes"].originals == tuple(label.en for label in tables["motion_shapes"].labels)
