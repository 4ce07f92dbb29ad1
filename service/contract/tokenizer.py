"""From label texts to token ids: CLIP's byte-level BPE for English, BERT's WordPiece for Chinese.

Both wrap a Hugging Face ``tokenizers`` file of the bundle. Rows are only as long as the longest label needs, because
the towers' masks make padding free of effect. Special tokens inside a label are ordinary text here.
"""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import ftfy
import numpy as np
from jaxtyping import Bool, Int32
from tokenizers import Tokenizer

from service.contract.errors import BundleError
from service.contract.manifest import WordSet
from service.contract.prompts import render_prompt

START, END = "<start_of_text>", "<end_of_text>"
CLS, SEP, UNKNOWN = "[CLS]", "[SEP]", "[UNK]"
PAD_ID = 0
_CURLY_QUOTES = str.maketrans({"“": '"', "”": '"'})


@dataclass(frozen=True)
class EnglishTokens:
    """Inputs of ``text_encoder_en``, and which outputs are words of the label.

    ``truncated`` lists the rows that were cut to the tower's length.
    """

    token_ids: Int32[np.ndarray, "labels length"]
    eot_index: Int32[np.ndarray, " labels"]
    is_word: Bool[np.ndarray, "labels length"]
    truncated: tuple[int, ...]


@dataclass(frozen=True)
class ChineseTokens:
    """Inputs of ``text_encoder_zh``; ``unknown`` lists the rows that hold characters outside the vocabulary."""

    token_ids: Int32[np.ndarray, "labels length"]
    attention_mask: Int32[np.ndarray, "labels length"]
    truncated: tuple[int, ...]
    unknown: tuple[int, ...]


# Not `typing.Self`, which the run-time type checks of the tests do not take.
_File = TypeVar("_File", bound="_TokenizerFile")


class _TokenizerFile:
    """A tokenizer of a bundle and the most positions that its tower has."""

    def __init__(self, tokenizer: Tokenizer, *, max_length: int) -> None:
        self._tokenizer = tokenizer
        self.max_length = max_length

    @classmethod
    def from_file(cls: type[_File], path: Path, *, max_length: int) -> _File:
        """Load a bundle's tokenizer.

        Raises:
            BundleError: the file is not a tokenizer, or lacks a special token.
        """
        return cls(_load(path), max_length=max_length)

    def to_json(self) -> str:
        """Render the tokenizer as the text of its bundle file."""
        text: str = self._tokenizer.to_str(pretty=False)
        return text


class EnglishTokenizer(_TokenizerFile):
    """CLIP's tokenizer: ftfy, HTML unescaping, white space collapsed, lower case, byte-level BPE."""

    def __init__(self, tokenizer: Tokenizer, *, max_length: int) -> None:
        super().__init__(tokenizer, max_length=max_length)
        self._start, self._end = (_require_token(tokenizer, name) for name in (START, END))

    def encode(self, labels: Sequence[str], *, template: str, word_set: WordSet) -> EnglishTokens:
        """Tokenize labels inside a template and mark the positions whose outputs weigh frames (Eq. 6).

        ``label`` marks the label's own tokens, ``label_eot`` adds the end token, ``sentence`` marks start to end, and
        ``bike77`` marks every position of the full, padded length.
        """
        rows, spans = zip(*(self._row(label, template=template) for label in labels), strict=True)
        lengths = np.array([min(len(row) + 2, self.max_length) for row in rows], dtype=np.int32)
        token_ids = np.full(
            (len(rows), self.max_length if word_set == "bike77" else int(lengths.max())), PAD_ID, dtype=np.int32
        )
        for ids, row, length in zip(token_ids, rows, lengths, strict=True):
            ids[:length] = [self._start, *row[: length - 2], self._end]
        truncated = tuple(i for i, row in enumerate(rows) if len(row) + 2 > self.max_length)
        is_word = _mark_words(np.array(spans), eot_index=lengths - 1, length=token_ids.shape[1], word_set=word_set)
        return EnglishTokens(token_ids, lengths - 1, is_word, truncated)

    def _row(self, label: str, *, template: str) -> tuple[list[int], tuple[int, int]]:
        """Token ids of the whole sentence, and the half-open span of the label's tokens, start token counted."""
        prompt = render_prompt(template, label)
        start = len(self._ids(prompt.prefix))
        stop = len(self._ids(prompt.prefix + prompt.label))
        return self._ids(str(prompt)), (start + 1, stop + 1)

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(clean_english(text), add_special_tokens=False).ids
        return ids


class ChineseTokenizer(_TokenizerFile):
    """BERT's tokenizer as Chinese-CLIP uses it: lower case, straight double quotes, CJK split one by one, WordPiece."""

    def __init__(self, tokenizer: Tokenizer, *, max_length: int) -> None:
        super().__init__(tokenizer, max_length=max_length)
        self._cls, self._sep, self._unknown = (_require_token(tokenizer, name) for name in (CLS, SEP, UNKNOWN))

    def encode(self, labels: Sequence[str], *, template: str) -> ChineseTokens:
        """Tokenize labels inside a template; rows that lose text or hold unknown characters are reported."""
        texts = [clean_chinese(str(render_prompt(template, label))) for label in labels]
        rows = [encoding.ids for encoding in self._tokenizer.encode_batch(texts, add_special_tokens=False)]
        lengths = [min(len(row) + 2, self.max_length) for row in rows]
        token_ids = np.full((len(rows), max(lengths)), PAD_ID, dtype=np.int32)
        for ids, row, length in zip(token_ids, rows, lengths, strict=True):
            ids[:length] = [self._cls, *row[: length - 2], self._sep]
        mask = (np.arange(token_ids.shape[1]) < np.array(lengths)[:, None]).astype(np.int32)
        truncated = tuple(i for i, row in enumerate(rows) if len(row) + 2 > self.max_length)
        unknown = tuple(i for i, row in enumerate(rows) if self._unknown in row)
        return ChineseTokens(token_ids, mask, truncated, unknown)


def clean_english(text: str) -> str:
    """Clean a text as CLIP does before BPE: repaired encoding, unescaped twice, single spaces, lower case."""
    repaired = html.unescape(html.unescape(ftfy.fix_text(text)))
    return " ".join(repaired.split()).lower()


def clean_chinese(text: str) -> str:
    """Clean a text as Chinese-CLIP does before WordPiece: lower case, curly double quotes made straight."""
    return text.lower().translate(_CURLY_QUOTES)


def _mark_words(
    spans: Int32[np.ndarray, "labels 2"] | np.ndarray,
    *,
    eot_index: Int32[np.ndarray, " labels"],
    length: int,
    word_set: WordSet,
) -> Bool[np.ndarray, "labels length"]:
    positions = np.arange(length)
    end = eot_index[:, None]
    if word_set == "bike77":
        return np.ones((len(spans), length), dtype=bool)
    if word_set == "sentence":
        return positions <= end
    label = (positions >= spans[:, :1]) & (positions < np.minimum(spans[:, 1:], end))
    # A label that cleaning empties, or that truncation cuts away, still needs one word to weigh frames with.
    with_end = label | (positions == end)
    return np.where((word_set == "label_eot") | ~label.any(axis=1, keepdims=True), with_end, label)


def _load(path: Path) -> Tokenizer:
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises plain Exception for every fault
        raise BundleError(f"{path} is not a tokenizer file: {error}") from error


def _require_token(tokenizer: Tokenizer, name: str) -> int:
    token_id: int | None = tokenizer.token_to_id(name)
    if token_id is None:
        raise BundleError(f"the tokenizer has no token {name!r}; export the bundle again")
    return token_id
