"""Tokenizer files of a bundle, built from the vocabularies that text towers were trained with."""

from collections.abc import Sequence

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from service.contract.tokenizer import CLS, END, SEP, START, UNKNOWN

WORD_END = "</w>"
# CLIP's pattern (Radford et al. 2021): contractions, letter runs, single digits, runs of anything else.
_CLIP_PATTERN = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
_MAX_CHARACTERS_PER_WORD = 200


def byte_alphabet() -> list[str]:
    """The 256 printable characters that stand for bytes, in the order of CLIP's vocabulary."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(256 + index) for index in range(len(others))]


def build_english_tokenizer(merges: Sequence[tuple[str, str]]) -> Tokenizer:
    """Build CLIP's byte-level BPE from its merges; ids are bytes, bytes at word ends, merges, start and end."""
    alphabet = byte_alphabet()
    entries = [*alphabet, *(c + WORD_END for c in alphabet), *("".join(pair) for pair in merges), START, END]
    tokenizer = Tokenizer(
        models.BPE(
            vocab={entry: index for index, entry in enumerate(entries)},
            merges=list(merges),
            end_of_word_suffix=WORD_END,
        )
    )
    tokenizer.pre_tokenizer = clip_pre_tokenizer()
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def clip_pre_tokenizer() -> pre_tokenizers.PreTokenizer:
    """Split cleaned text into CLIP's words and write their bytes in the printable alphabet."""
    split = pre_tokenizers.Split(Regex(_CLIP_PATTERN), behavior="removed", invert=True)
    return pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def build_chinese_tokenizer(vocabulary: Sequence[str]) -> Tokenizer:
    """Build BERT's lower-casing WordPiece from its vocabulary, whose order gives the ids.

    Raises:
        ValueError: a special token is missing.
    """
    if missing := {UNKNOWN, CLS, SEP} - set(vocabulary):
        raise ValueError(f"the vocabulary lacks {sorted(missing)}")
    tokenizer = Tokenizer(
        models.WordPiece(
            vocab={entry: index for index, entry in enumerate(vocabulary)},
            unk_token=UNKNOWN,
            max_input_chars_per_word=_MAX_CHARACTERS_PER_WORD,
        )
    )
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer
