from pathlib import Path

import pytest
from tokenizers import Tokenizer, models

from service.contract.errors import BundleError
from service.contract.manifest import WordSet
from service.contract.tokenizer import ChineseTokenizer, EnglishTokenizer, clean_chinese, clean_english
from training.models.tokenizers import build_chinese_tokenizer, build_english_tokenizer, byte_alphabet

START, END = 512, 513
TEMPLATE = "a {}!"


def english(*, max_length: int = 8) -> EnglishTokenizer:
    """Without merges every character is a token."""
    return EnglishTokenizer(build_english_tokenizer([]), max_length=max_length)


def chinese(*, max_length: int = 8) -> ChineseTokenizer:
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "冲", "浪", "的", "a", '"']
    return ChineseTokenizer(build_chinese_tokenizer(vocabulary), max_length=max_length)


def ids(text: str) -> list[int]:
    """Ids of single characters; a capital stands for the end of a word."""
    alphabet = byte_alphabet()
    return [alphabet.index(c.lower()) + (256 if c.isupper() or c == "!" else 0) for c in text]


def test_english_labels_are_tokenized_inside_the_template() -> None:
    tokens = english().encode(["bc", "D"], template=TEMPLATE, word_set="label")
    assert tokens.token_ids.tolist() == [[START, *ids("AbC!"), END], [START, *ids("AD!"), END, 0]]
    assert tokens.eot_index.tolist() == [5, 4]
    assert tokens.truncated == ()


@pytest.mark.parametrize(
    ("word_set", "expected"),
    [
        ("label", ["001100", "001000"]),
        ("label_eot", ["001101", "001010"]),
        ("sentence", ["111111", "111110"]),
        ("bike77", ["11111111", "11111111"]),
    ],
)
def test_word_set_says_which_positions_weigh_frames(word_set: WordSet, expected: list[str]) -> None:
    tokens = english().encode(["bc", "d"], template=TEMPLATE, word_set=word_set)
    assert ["".join(str(int(bit)) for bit in row) for row in tokens.is_word] == expected
    assert tokens.token_ids.shape == tokens.is_word.shape


@pytest.mark.parametrize(
    ("label", "max_length", "expected_ids", "expected_words"),
    [
        ("bcd", 5, [START, *ids("Abc"), END], [False, False, True, True, False]),
        ("bcd", 4, [START, *ids("Ab"), END], [False, False, True, False]),
        ("bcd", 3, [START, *ids("A"), END], [False, False, True]),
    ],
)
def test_long_sentence_is_cut_before_its_end_token(
    label: str, max_length: int, expected_ids: list[int], expected_words: list[bool]
) -> None:
    tokens = english(max_length=max_length).encode(["", label], template=TEMPLATE, word_set="label")
    assert tokens.token_ids[1].tolist() == expected_ids
    assert tokens.is_word[1].tolist() == expected_words
    assert 1 in tokens.truncated


def test_label_that_cleaning_empties_has_its_end_token_as_word() -> None:
    tokens = english().encode(["&#32;"], template="a {}", word_set="label")
    assert tokens.is_word.tolist() == [[False, False, True]]


def test_chinese_labels_are_tokenized_inside_the_template() -> None:
    tokens = chinese().encode(["冲浪", "A"], template="{}的")
    assert tokens.token_ids.tolist() == [[2, 4, 5, 6, 3], [2, 7, 6, 3, 0]]
    assert tokens.attention_mask.tolist() == [[1, 1, 1, 1, 1], [1, 1, 1, 1, 0]]
    assert (tokens.truncated, tokens.unknown) == ((), ())


def test_chinese_text_that_is_cut_or_unknown_is_reported() -> None:
    tokens = chinese(max_length=4).encode(["冲", "冲浪冲", "😀浪"], template="{}")
    assert tokens.token_ids.tolist() == [[2, 4, 3, 0], [2, 4, 5, 3], [2, 1, 5, 3]]
    assert (tokens.truncated, tokens.unknown) == ((1,), (2,))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  Two\n WORDS ", "two words"),
        ("&amp;lt;b&amp;gt;", "<b>"),
        ("donâ€™t", "don't"),
        ("schÃ¶n", "schön"),
        ("", ""),
    ],
)
def test_english_is_cleaned(text: str, expected: str) -> None:
    assert clean_english(text) == expected


def test_chinese_is_cleaned() -> None:
    assert clean_chinese("“打” Tennis ‘好’") == '"打" tennis ‘好’'


def test_tokenizer_files_give_the_same_tokens(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(english().to_json(), encoding="utf-8")
    copy = EnglishTokenizer.from_file(path, max_length=8)
    assert copy.encode(["bc"], template=TEMPLATE, word_set="label").token_ids.tolist() == [[START, *ids("AbC!"), END]]
    path.write_text(chinese().to_json(), encoding="utf-8")
    assert ChineseTokenizer.from_file(path, max_length=8).encode(["浪"], template="{}").token_ids.tolist() == [
        [2, 5, 3]
    ]


@pytest.mark.parametrize("kind", [EnglishTokenizer, ChineseTokenizer])
@pytest.mark.parametrize("content", [None, "", "{}", "not json"])
def test_bad_tokenizer_file_is_named(
    tmp_path: Path, kind: type[EnglishTokenizer] | type[ChineseTokenizer], content: str | None
) -> None:
    path = tmp_path / "tokenizer.json"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(BundleError, match=r"tokenizer\.json is not a tokenizer file: "):
        kind.from_file(path, max_length=8)


@pytest.mark.parametrize(("kind", "missing"), [(EnglishTokenizer, "<start_of_text>"), (ChineseTokenizer, r"\[CLS\]")])
def test_tokenizer_without_special_tokens_is_refused(
    kind: type[EnglishTokenizer] | type[ChineseTokenizer], missing: str
) -> None:
    tokenizer = Tokenizer(models.WordPiece(vocab={"a": 0}, unk_token="a"))
    with pytest.raises(BundleError, match=f"the tokenizer has no token '{missing}'; export the bundle again"):
        kind(tokenizer, max_length=8)
