"""Strings that a tokenizer of Chinese meets, and some that it should not: the same for the same seed."""

import random
from collections.abc import Sequence
from unicodedata import ucd_3_2_0

HAN = "冲浪打太极梳头发踢足球弹钢琴跳舞骑自行车游泳射箭龘鱻㐀豈々〇"
PIECES = (
    *HAN,
    *("surfing", "Tai Chi", "Café", "cafe\u0301", "naïve", "Straße", "İstanbul", "ЖИВОЙ", "Ελληνικά", "ǅ", "ﬁ"),
    *("サーフィン", "서핑", "हिन्दी", "ไทย", "مرحبا", "𠮷野家", "𝒜𝓑", "ＡＢＣ１２３", "１０", "㍿", "①", "℃", "￥"),
    *("！？，。：；（）《》、", "“太极”", "‘play’", "…—·", "don't", "rock-climbing", "C++", "3.14", "½", "²", "№5"),
    *("😀", "👩‍👩‍👧‍👦", "🏄🏽‍♂️", "🇨🇳", "❤️"),
    *("\u200b", "\u200d", "\ufeff", "\u00ad", "\u3000", "\u00a0", "\t", "\n", "\x00", "\x07", "\ufffd"),
    *("[CLS]", "[SEP]", "[UNK]", "[MASK]", "[PAD]", "##ing", "<b>&amp;</b>", "a" * 60),
)
# The first and last characters of blocks that tokenizers treat in different ways.
BLOCKS = (
    (0x20, 0x7E), (0xA1, 0x24F), (0x300, 0x36F), (0x370, 0x3FF), (0x400, 0x4FF), (0x5D0, 0x5EA), (0x3041, 0x30FE),
    (0x3400, 0x4DB5), (0x4E00, 0x9FA5), (0xAC00, 0xD7A3), (0xF900, 0xFA2D), (0xFF01, 0xFF9F), (0x1F300, 0x1F64F),
    (0x20000, 0x2A6D6),
)  # fmt: skip


def draw_strings(count: int, *, seed: int) -> list[str]:
    """Draw strings of mixed scripts, emoji, full-width forms and special tokens, some of them overlong."""
    rng = random.Random(seed)
    return [_draw(rng) for _ in range(count)]


def make_vocabulary(strings: Sequence[str], *, every: int) -> list[str]:
    """Make a WordPiece vocabulary that knows most characters of strings, as words and as continuations.

    Every so many characters are left out, so that there are unknown ones.
    """
    characters = sorted({c for text in strings for c in text.lower() if c.isprintable() and not c.isspace()})
    known = [c for index, c in enumerate(characters) if index % every]
    whole = ["surf", "play", "tai", "chi", "rock", "##ing", "##bing", "climb", "cafe", "aaaa"]
    continuations = [f"##{c}" for c in known if c.isalnum() and not "一" <= c <= "龥"]
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    return list(dict.fromkeys([*special, *whole, *known, *continuations]))


def _draw(rng: random.Random) -> str:
    num_parts = rng.choice((1, 2, 3, 5, 8, 13, 80))
    return "".join(_draw_part(rng) for _ in range(num_parts))


def _draw_part(rng: random.Random) -> str:
    if rng.random() < 0.6:
        return rng.choice(PIECES)
    first, last = rng.choice(BLOCKS)
    run = (chr(rng.randint(first, last)) for _ in range(rng.randint(1, 4)))
    return rng.choice(("", " ")) + "".join(filter(_is_assigned, run))


def _is_assigned(character: str) -> bool:
    """Whether a character is one; on code points that are none, engines differ with their version of Unicode."""
    return ucd_3_2_0.category(character) != "Cn"
