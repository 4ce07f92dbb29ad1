"""Our Chinese tokenizer on 10,000 drawn strings, against the slow BERT WordPiece beside it."""

from collections.abc import Sequence

import numpy as np
import pytest
from tokenizers import BertWordPieceTokenizer

from service.contract.tokenizer import ChineseTokenizer, ChineseTokens, clean_chinese
from tests.training.models.strings import draw_strings, make_vocabulary
from tests.training.models.test_tokenizers import read_lines, slow_ids
from training.models.tokenizers import build_chinese_tokenizer

STRINGS = draw_strings(10_000, seed=0)
MAX_LENGTH = 52


@pytest.fixture(scope="module", params=["made", "chinese_clip"])
def vocabulary(request: pytest.FixtureRequest) -> list[str]:
    if request.param == "made":
        return make_vocabulary(STRINGS, every=7)
    return read_lines("tokenizers/chinese_clip_vocab.txt")


@pytest.fixture(scope="module")
def expected(vocabulary: list[str]) -> list[list[int]]:
    ids = {entry: index for index, entry in enumerate(vocabulary)}
    return [slow_ids(text, ids) for text in STRINGS]


def encode(vocabulary: Sequence[str], *, max_length: int) -> ChineseTokens:
    tokenizer = ChineseTokenizer(build_chinese_tokenizer(vocabulary), max_length=max_length)
    return tokenizer.encode(STRINGS, template="{}")


def list_ids(tokens: ChineseTokens) -> list[list[int]]:
    return [row[mask == 1].tolist() for row, mask in zip(tokens.token_ids, tokens.attention_mask, strict=True)]


def test_strings_hold_what_they_should() -> None:
    assert all(
        any(part in text for text in STRINGS) for part in ("😀", "ＡＢＣ", "𠮷", "[MASK]", "İ", "\u200d", "\x00")
    )
    assert draw_strings(3, seed=0) == STRINGS[:3]


def test_ids_are_those_of_slow_wordpiece(vocabulary: list[str], expected: list[list[int]]) -> None:
    start, end = vocabulary.index("[CLS]"), vocabulary.index("[SEP]")
    found = list_ids(encode(vocabulary, max_length=1 + max(map(len, expected)) + 1))
    assert found == [[start, *ids, end] for ids in expected]


def test_overlong_and_unknown_strings_are_reported(vocabulary: list[str], expected: list[list[int]]) -> None:
    start, end, unknown = (vocabulary.index(name) for name in ("[CLS]", "[SEP]", "[UNK]"))
    tokens = encode(vocabulary, max_length=MAX_LENGTH)
    assert list_ids(tokens) == [[start, *ids[: MAX_LENGTH - 2], end] for ids in expected]
    assert tokens.truncated == tuple(row for row, ids in enumerate(expected) if len(ids) > MAX_LENGTH - 2)
    assert tokens.unknown == tuple(row for row, ids in enumerate(expected) if unknown in ids)
    assert min(len(tokens.truncated), len(tokens.unknown)) > 1000


def test_ids_are_those_of_the_tokenizer_of_the_library(vocabulary: list[str]) -> None:
    """It has BERT's limit of 100 characters a word, where Chinese-CLIP's is 200, and knows special tokens in texts."""
    texts = [text for text in STRINGS if "[" not in text and "a" * 40 not in text]
    library = BertWordPieceTokenizer({entry: index for index, entry in enumerate(vocabulary)}, lowercase=True)
    tokenizer = build_chinese_tokenizer(vocabulary)
    for text in texts:
        own = tokenizer.encode(clean_chinese(text), add_special_tokens=False).ids
        np.testing.assert_array_equal(own, library.encode(clean_chinese(text), add_special_tokens=False).ids)
