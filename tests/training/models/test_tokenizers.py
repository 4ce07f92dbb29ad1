"""Our tokenizers against open_clip's BPE and against a slow BERT WordPiece written here."""

import gzip
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from unicodedata import ucd_3_2_0

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.contract.tokenizer import ChineseTokenizer, EnglishTokenizer, clean_english
from tests.material import LISTS, require_material
from training.models import clip  # noqa: F401
from training.models.tokenizers import build_chinese_tokenizer, build_english_tokenizer, byte_alphabet

# isort: split
# The module above makes open_clip importable.
from open_clip.tokenizer import SimpleTokenizer, default_bpe

OPEN_CLIP = SimpleTokenizer()
SPECIAL = ("<start_of_text>", "<end_of_text>")
TEXTS = [
    "surfing",
    "a video of a person doing Tai Chi.",
    "  spaces\tand\nnew lines  ",
    "it's they're we've I'm we'll he'd IT'S o'clock 'tis ''s",
    "90210 3rd 1,000.5 ½ ² ٣ Ⅷ",
    "don&amp;t &lt;b&gt; &amp;amp;lt; &eacute; &#x4e2d; &nonsense;",
    "schÃ¶n â€œquotedâ€\x9d voilÃ\xa0 L&AMP;AMP;ATILDE;&AMP;AMP;SUP3;PEZ",
    "😀👩‍👩‍👧‍👦 🏄🏽‍♂️ flag 🇨🇳 ❤️",
    "café cafe\u0301 naïve ǅungla İstanbul ſs 'ſ K ﬁ ŉ",
    "冲浪 サーフィン 서핑 مرحبا हिन्दी ไทย",
    "!!!...---___***",
    "\u200b\u00ad\ufeff\u2028x",
    "",
    " ",
    "word " * 100,
    "supercalifragilisticexpialidocious" * 20,
    "\x00\x01 control",
]


def is_known(text: str) -> bool:
    """Whether every character was in an early version of Unicode, repaired encodings included.

    The engines know different versions, and agree on the characters of that one.
    """
    return all(ucd_3_2_0.category(character) != "Cn" for character in clean_english(text))


# The engines disagree on one combining mark.
CHARACTERS = st.characters(exclude_categories=["Cs", "Cn"], exclude_characters="\u0345").filter(is_known)
# Contractions, digits, entities and repaired encodings are too rare in arbitrary text.
FRAGMENTS = st.sampled_from(
    ["'s", "'LL", "&amp;", "&lt;", "Ã©", "â€™", "<", "7", "42", " ", "\n", "the", "Running", "😀"]
)


@pytest.fixture(scope="module")
def english() -> EnglishTokenizer:
    lines = gzip.decompress(Path(default_bpe()).read_bytes()).decode().split("\n")
    merges = [tuple(line.split()) for line in lines[1 : 49152 - 256 - 2 + 1]]
    return EnglishTokenizer(build_english_tokenizer([(left, right) for left, right in merges]), max_length=77)


def english_ids(tokenizer: EnglishTokenizer, texts: Sequence[str]) -> np.ndarray:
    return tokenizer.encode(texts, template="{}", word_set="bike77").token_ids


def test_english_ids_are_those_of_open_clip(english: EnglishTokenizer) -> None:
    np.testing.assert_array_equal(english_ids(english, TEXTS), OPEN_CLIP(TEXTS).numpy())


@settings(max_examples=200, deadline=None)
@given(
    texts=st.lists(
        st.one_of(st.text(CHARACTERS).filter(is_known), st.lists(FRAGMENTS).map("".join)), min_size=20, max_size=20
    )
)
def test_english_ids_of_any_text_are_those_of_open_clip(english: EnglishTokenizer, texts: list[str]) -> None:
    np.testing.assert_array_equal(english_ids(english, texts), OPEN_CLIP(texts).numpy())


@pytest.mark.parametrize(
    "name", ["mmaction2/k710.txt", "mmaction2/sthv2.txt", "paddlevideo/videotag_label_3396_zh.txt"]
)
def test_english_ids_of_real_labels_are_those_of_open_clip(english: EnglishTokenizer, name: str) -> None:
    texts = read_lines(name)
    np.testing.assert_array_equal(english_ids(english, texts), OPEN_CLIP(texts).numpy())


def test_english_rows_are_as_long_as_the_longest_label(english: EnglishTokenizer) -> None:
    tokens = english.encode(["surfing", "playing the violin"], template="a video of {}", word_set="label")
    assert (
        tokens.token_ids.tolist() == OPEN_CLIP(["a video of surfing", "a video of playing the violin"])[:, :8].tolist()
    )
    assert tokens.eot_index.tolist() == [5, 7]


@pytest.mark.parametrize("text", ["<start_of_text>", "run <end_of_text> run"])
def test_special_tokens_of_a_label_are_ordinary_text(english: EnglishTokenizer, text: str) -> None:
    tokens = english.encode([text], template="{}", word_set="label")
    assert np.flatnonzero(tokens.token_ids[0] >= OPEN_CLIP.sot_token_id).tolist() == [0, tokens.eot_index[0]]


def test_alphabet_is_that_of_open_clip() -> None:
    assert {character: index for index, character in enumerate(byte_alphabet())} == {
        character: index for character, index in OPEN_CLIP.encoder.items() if index < 256
    }


VOCABULARY = ["[PAD]", *(f"[unused{n}]" for n in range(1, 100)), "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
VOCABULARY += [*"，。！!'.,-$<>[]0123456789abcdefghijklmnopqrstuvwxyz冲浪太极梳头发打球"]
VOCABULARY += ["##" + c for c in "0123456789abcdefghijklmnopqrstuvwxyz'"] + [
    "surf",
    "##ing",
    "play",
    "##er",
    "unk",
    "cafe",
]
CHINESE_TEXTS = [
    "梳头发",
    "打 surfing 球",
    "Café CAFÉ cafe\u0301",
    "“太极” 'play' playing-surfer!",
    "龘 😀 冲",
    "a" * 201,
    "a" * 200,
    "\ufffd\x00\u200b冲\t浪\u3000打",
    "[CLS] [UNK] [MASK]",
    "ǅ ß İ Å",
    "",
]


def slow_ids(text: str, vocabulary: dict[str, int]) -> list[int]:
    """BERT's tokenization by its published description: clean, split at CJK and punctuation, longest match first."""
    text = text.lower().replace("“", '"').replace("”", '"')
    return [vocabulary[piece] for word in slow_words(text) for piece in slow_pieces(word, vocabulary)]


def slow_words(text: str) -> Iterator[str]:
    spaced = "".join(f" {c} " if is_cjk(c) else c for c in "".join(map(clean_character, text)))
    stripped = "".join(c for c in unicodedata.normalize("NFD", spaced) if unicodedata.category(c) != "Mn").lower()
    for word in stripped.split():
        run = ""
        for character in word:
            if is_punctuation(character):
                yield from filter(None, (run, character))
                run = ""
            else:
                run += character
        yield from filter(None, (run,))


def clean_character(character: str) -> str:
    if character in "\t\n\r":
        return " "
    if character in "\x00\ufffd" or unicodedata.category(character).startswith("C"):
        return ""
    return " " if unicodedata.category(character) == "Zs" else character


def is_cjk(character: str) -> bool:
    basic = ((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0xF900, 0xFAFF), (0x20000, 0x2A6DF))
    later = ((0x2A700, 0x2B73F), (0x2B740, 0x2B81F), (0x2B820, 0x2CEAF), (0x2F800, 0x2FA1F))
    return any(first <= ord(character) <= last for first, last in (*basic, *later))


def is_punctuation(character: str) -> bool:
    ascii_ranges = ((33, 47), (58, 64), (91, 96), (123, 126))
    is_ascii = any(first <= ord(character) <= last for first, last in ascii_ranges)
    return is_ascii or unicodedata.category(character).startswith("P")


def slow_pieces(word: str, vocabulary: dict[str, int]) -> list[str]:
    pieces: list[str] = []
    rest = word
    while rest and len(word) <= 200:
        prefix = "##" if pieces else ""
        stop = next((n for n in range(len(rest), 0, -1) if prefix + rest[:n] in vocabulary), 0)
        if stop == 0:
            return ["[UNK]"]
        pieces.append(prefix + rest[:stop])
        rest = rest[stop:]
    return pieces or ["[UNK]"]


def chinese_ids(texts: Sequence[str], vocabulary: Sequence[str]) -> list[list[int]]:
    tokenizer = ChineseTokenizer(build_chinese_tokenizer(vocabulary), max_length=300)
    tokens = tokenizer.encode(texts, template="{}")
    return [row[mask == 1].tolist() for row, mask in zip(tokens.token_ids, tokens.attention_mask, strict=True)]


@pytest.mark.parametrize("text", CHINESE_TEXTS)
def test_chinese_ids_are_those_of_slow_wordpiece(text: str) -> None:
    expected = [101, *slow_ids(text, {entry: index for index, entry in enumerate(VOCABULARY)}), 102]
    assert chinese_ids([text], VOCABULARY) == [expected]


@settings(deadline=None)
@given(text=st.text(st.one_of(CHARACTERS, st.sampled_from("冲浪surfing'. “é"))))
def test_chinese_ids_of_any_text_are_those_of_slow_wordpiece(text: str) -> None:
    expected = [101, *slow_ids(text, {entry: index for index, entry in enumerate(VOCABULARY)}), 102]
    assert chinese_ids([text], VOCABULARY) == [expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("梳头发", [101, 3463, 1928, 1355, 102]), ("Tai Chi 太极", [101, 13242, 12205, 1922, 3353, 102])],
)
def test_chinese_ids_are_those_of_chinese_clip(text: str, expected: list[int]) -> None:
    assert chinese_ids([text], read_lines("tokenizers/chinese_clip_vocab.txt")) == [expected]


def test_chinese_ids_of_real_tags_are_those_of_slow_wordpiece() -> None:
    entries, texts = (
        read_lines("tokenizers/chinese_clip_vocab.txt"),
        read_lines("paddlevideo/videotag_label_3396_zh.txt"),
    )
    vocabulary = {entry: index for index, entry in enumerate(entries)}
    assert chinese_ids(texts, entries) == [[101, *slow_ids(text, vocabulary), 102] for text in texts]


def test_vocabulary_without_special_tokens_is_refused() -> None:
    with pytest.raises(ValueError, match=r"the vocabulary lacks \['\[CLS\]', '\[UNK\]'\]"):
        build_chinese_tokenizer(["[SEP]", "冲"])


def read_lines(name: str) -> list[str]:
    require_material()
    path = LISTS / name
    return path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
