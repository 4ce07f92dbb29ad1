"""Small tokenizer vocabularies, learned from the caption grammar.

The file format and the rest of the vocabularies (all bytes, special tokens) are in `models.tokenizers`.
"""

import json
import string
from collections.abc import Sequence

from tokenizers import Tokenizer, models, trainers

from service.contract.tokenizer import CLS, SEP, UNKNOWN, clean_chinese, clean_english
from training.models.tokenizers import (
    WORD_END,
    build_chinese_tokenizer,
    build_english_tokenizer,
    byte_alphabet,
    clip_pre_tokenizer,
)

PADDING, MASK = "[PAD]", "[MASK]"


def train_english_tokenizer(texts: Sequence[str], *, num_merges: int) -> Tokenizer:
    """Learn at most `num_merges` merges of byte-level BPE from texts; any text can be tokenized."""
    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = clip_pre_tokenizer()
    alphabet = byte_alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=2 * len(alphabet) + num_merges,
        initial_alphabet=alphabet,
        end_of_word_suffix=WORD_END,
        show_progress=False,
    )
    learner.train_from_iterator([clean_english(text) for text in texts], trainer)
    merges = json.loads(learner.to_str())["model"]["merges"]
    return build_english_tokenizer([(first, second) for first, second in merges[:num_merges]])


def train_chinese_tokenizer(texts: Sequence[str]) -> Tokenizer:
    """Collect the characters of texts into a WordPiece vocabulary, with Latin letters, digits and punctuation."""
    latin = [*string.ascii_lowercase, *string.digits]
    used = sorted({character for text in texts for character in clean_chinese(text)} - {" ", *latin})
    punctuation = [mark for mark in f"{string.punctuation}，。！？：；、（）《》" if mark not in used]
    pieces = [*latin, *(f"##{character}" for character in latin)]
    return build_chinese_tokenizer([PADDING, UNKNOWN, CLS, SEP, MASK, *pieces, *punctuation, *used])
