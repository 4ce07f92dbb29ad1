"""The caption grammar: many ways to say what a still shows, in English and Chinese.

Captions are drawn at random from the facts of a still; every word that a caption may use is also listed, for the
tokenizers. Rendering of the stills is in `stills`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from types import MappingProxyType

import numpy as np
from jaxtyping import Bool

from training.data.motion_shapes.vocabulary import COLOURS, SHAPES

Texts = tuple[str, ...]

# Shares of the captions that name colour and shape.
COLOUR_FRACTION = 0.4
SHAPE_FRACTION = 0.92
# Of those that name the shape, the share that says nothing else but perhaps its colour.
BARE_FRACTION = 0.2


@dataclass(frozen=True)
class Phrases:
    """Hold texts of one meaning in both languages; `{}` stands for the subject."""

    en: Texts
    zh: Texts


Predicates = dict[tuple[str, ...], Phrases]


@dataclass(frozen=True)
class Facts:
    """State what a still shows; `predicates` are numbers in `PREDICATES` of all that is true of the subject."""

    shape: int
    colour: int
    is_pair: bool
    predicates: tuple[int, ...]


@dataclass(frozen=True)
class Caption:
    """Say one thing in both languages, and keep what was claimed; None stands for what was left unsaid."""

    en: str
    zh: str
    shape: int | None
    colour: int | None
    predicate: int


TEMPLATES = Phrases(
    (
        "This is a video about {}",
        "a video about {}",
        "the video is about {}.",
        "{}",
        "a picture of {}",
        "a clip of {}",
    ),
    ("{}", "{}", "一个关于{}的视频", "{}的画面", "视频里{}"),
)

ACTION_PHRASES = {
    "left": Phrases(
        ("{} moving left", "{} moving to the left", "{} sliding left", "{} going left"),
        ("{}向左移动", "{}往左移动", "{}正在向左移动", "{}向左滑动"),
    ),
    "right": Phrases(
        ("{} moving right", "{} moving to the right", "{} sliding right", "{} going right"),
        ("{}向右移动", "{}往右移动", "{}正在向右移动", "{}向右滑动"),
    ),
    "up": Phrases(
        ("{} moving up", "{} moving upwards", "{} rising", "{} going up"),
        ("{}向上移动", "{}往上移动", "{}正在向上移动", "{}上升"),
    ),
    "down": Phrases(
        ("{} moving down", "{} moving downwards", "{} falling", "{} going down"),
        ("{}向下移动", "{}往下移动", "{}正在向下移动", "{}下降"),
    ),
    "growing": Phrases(
        ("{} growing", "{} getting bigger", "{} expanding", "{} becoming larger"),
        ("{}变大", "{}正在变大", "{}放大", "{}越来越大"),
    ),
    "shrinking": Phrases(
        ("{} shrinking", "{} getting smaller", "{} contracting", "{} becoming smaller"),
        ("{}缩小", "{}正在缩小", "{}变小", "{}越来越小"),
    ),
    "clockwise": Phrases(
        ("{} turning clockwise", "{} rotating clockwise", "{} spinning clockwise"),
        ("{}顺时针旋转", "{}正在顺时针旋转", "{}顺时针转动"),
    ),
    "counter-clockwise": Phrases(
        ("{} turning counter-clockwise", "{} rotating counter-clockwise", "{} spinning counter-clockwise"),
        ("{}逆时针旋转", "{}正在逆时针旋转", "{}逆时针转动"),
    ),
    "approaching": Phrases(
        ("{} approaching", "{} approaching each other", "{} coming together", "{} moving together"),
        ("{}靠近", "{}相互靠近", "{}正在靠近", "{}彼此接近"),
    ),
    "separating": Phrases(
        ("{} separating", "{} separating from each other", "{} coming apart", "{} moving apart"),
        ("{}分开", "{}相互分开", "{}正在分开", "{}彼此远离"),
    ),
    "appearing": Phrases(
        ("{} appearing", "{} showing up", "{} fading in", "{} coming into view"),
        ("{}出现", "{}正在出现", "{}显现", "{}渐渐出现"),
    ),
    "vanishing": Phrases(
        ("{} vanishing", "{} disappearing", "{} fading out", "{} dissolving"),
        ("{}消失", "{}正在消失", "{}隐去", "{}渐渐消失"),
    ),
}

COLUMNS = (("left", "左边"), ("middle", "中间"), ("right", "右边"))
ROWS = (("top", "上边"), ("middle", "中间"), ("bottom", "下边"))
SIZES = (("tiny", "很小"), ("small", "较小"), ("medium", "中等"), ("large", "较大"), ("huge", "很大"))
# Clockwise from the top.
DIRECTIONS = (
    ("top", "上"),
    ("top right", "右上"),
    ("right", "右"),
    ("bottom right", "右下"),
    ("bottom", "下"),
    ("bottom left", "左下"),
    ("left", "左"),
    ("top left", "左上"),
)
DISTANCES = (("touching", "挨着"), ("close to", "挨近"), ("away from", "离开"), ("far from", "远隔"))
OPACITIES = (("faint", "模糊"), ("pale", "浅淡"), ("clear", "清楚"), ("solid", "结实"))


def _list_predicates() -> Predicates:
    """List all that can be said of a subject, by kind and value."""
    nothing: Predicates = {("nothing",): Phrases(("{}",), ("{}",))}
    actions: Predicates = {("action", name): phrases for name, phrases in ACTION_PHRASES.items()}
    places: Predicates = {
        ("place", str(column), str(row)): Phrases(
            (f"{{}} at the {en_row} {en_column}", f"{{}} in the {en_row} {en_column}"),
            (f"{{}}在{zh_row}{zh_column}", f"{{}}位于{zh_row}{zh_column}"),
        )
        for (column, (en_column, zh_column)), (row, (en_row, zh_row)) in product(enumerate(COLUMNS), enumerate(ROWS))
    }
    sizes: Predicates = {
        ("size", str(index)): Phrases((f"{{}} of {en} size", f"{en} {{}}"), (f"{{}}{zh}", f"{zh}的{{}}"))
        for index, (en, zh) in enumerate(SIZES)
    }
    directions: Predicates = {
        ("direction", str(index)): Phrases(
            (f"{{}} with a dot at its {en}", f"{{}} pointing to the {en}"), (f"{{}}的圆点在{zh}", f"{{}}朝{zh}")
        )
        for index, (en, zh) in enumerate(DIRECTIONS)
    }
    distances: Predicates = {
        ("distance", str(index)): Phrases((f"{{}} {en} each other",), (f"{{}}{zh}",))
        for index, (en, zh) in enumerate(DISTANCES)
    }
    opacities: Predicates = {
        ("opacity", str(index)): Phrases((f"{en} {{}}", f"{{}} looking {en}"), (f"{{}}{zh}", f"{zh}的{{}}"))
        for index, (en, zh) in enumerate(OPACITIES)
    }
    return {**nothing, **actions, **places, **sizes, **directions, **distances, **opacities}


PREDICATES: Mapping[tuple[str, ...], Phrases] = MappingProxyType(_list_predicates())
_PHRASES = tuple(PREDICATES.values())
_NUMBERS = {key: number for number, key in enumerate(PREDICATES)}


def predicate_number(kind: str, *values: object) -> int:
    """Return the number of a predicate, as ("action", "left"), ("place", column, row) or ("size", index)."""
    return _NUMBERS[(kind, *map(str, values))]


def draw_caption(facts: Facts, *, rng: np.random.Generator) -> Caption:
    """Draw a caption of a still, which need not say everything that is true."""
    names_colour, names_shape = rng.random() < COLOUR_FRACTION, rng.random() < SHAPE_FRACTION
    predicate = facts.predicates[int(rng.integers(len(facts.predicates)))]
    if names_shape and rng.random() < BARE_FRACTION:
        predicate = predicate_number("nothing")
    subject_en = _pick(_subjects_en(facts, names_colour=names_colour, names_shape=names_shape), rng=rng)
    subject_zh = _pick(_subjects_zh(facts, names_colour=names_colour, names_shape=names_shape), rng=rng)
    phrases = _PHRASES[predicate]
    return Caption(
        en=_pick(TEMPLATES.en, rng=rng).format(_pick(phrases.en, rng=rng).format(subject_en)),
        zh=_pick(TEMPLATES.zh, rng=rng).format(_pick(phrases.zh, rng=rng).format(subject_zh)),
        shape=facts.shape if names_shape else None,
        colour=facts.colour if names_colour else None,
        predicate=predicate,
    )


def find_true(facts: Sequence[Facts], captions: Sequence[Caption]) -> Bool[np.ndarray, "stills captions"]:
    """Tell of every still and every caption whether the caption is true of the still."""
    truths = np.zeros((len(facts), len(_PHRASES)), dtype=bool)
    for row, each in zip(truths, facts, strict=True):
        row[[predicate_number("nothing"), *each.predicates]] = True
    shapes, colours = (np.array([values]).T for values in ([f.shape for f in facts], [f.colour for f in facts]))
    said_shapes = np.array([-1 if caption.shape is None else caption.shape for caption in captions])
    said_colours = np.array([-1 if caption.colour is None else caption.colour for caption in captions])
    is_true: Bool[np.ndarray, "stills captions"] = (
        truths[:, [caption.predicate for caption in captions]]
        & ((said_shapes < 0) | (said_shapes == shapes))
        & ((said_colours < 0) | (said_colours == colours))
    )
    return is_true


def list_phrases() -> tuple[list[str], list[str]]:
    """List English and Chinese texts that together use every word of the grammar."""
    return (
        [*TEMPLATES.en, *_list_subjects(_subjects_en), *(text for each in _PHRASES for text in each.en)],
        [*TEMPLATES.zh, *_list_subjects(_subjects_zh), *(text for each in _PHRASES for text in each.zh)],
    )


def _subjects_en(facts: Facts, *, names_colour: bool, names_shape: bool) -> Texts:
    """Name the subject in English, with and without an article."""
    shape = SHAPES[facts.shape]
    colour = f"{COLOURS[facts.colour].en} " if names_colour else ""
    if facts.is_pair:
        return (f"two {colour}{shape.plural if names_shape else 'shapes'}",)
    noun = f"{colour}{shape.en if names_shape else 'shape'}"
    return noun, f"a {noun}", f"the {noun}"


def _subjects_zh(facts: Facts, *, names_colour: bool, names_shape: bool) -> Texts:
    """Name the subject in Chinese, with and without a measure word."""
    colour = COLOURS[facts.colour].zh if names_colour else ""
    noun = f"{colour}{SHAPES[facts.shape].zh if names_shape else '图形'}"
    return (f"两个{noun}",) if facts.is_pair else (noun, f"一个{noun}")


def _list_subjects(subjects: Callable[..., Texts]) -> Iterator[str]:
    """List every name of every subject in one language."""
    for shape, colour, is_pair, names_shape in product(
        range(len(SHAPES)), range(len(COLOURS)), (False, True), (False, True)
    ):
        yield from subjects(Facts(shape, colour, is_pair, ()), names_colour=True, names_shape=names_shape)


def _pick(texts: Sequence[str], *, rng: np.random.Generator) -> str:
    """Draw one text."""
    return texts[int(rng.integers(len(texts)))]
