"""The words of MotionShapes: shapes, colours, actions, and the labels they compose, in English and Chinese."""

from dataclasses import dataclass

from training.data.motion_shapes import shapes
from training.data.motion_shapes.shapes import Outline


@dataclass(frozen=True)
class Shape:
    """Name a shape and hold its outline."""

    en: str
    plural: str
    zh: str
    outline: Outline


@dataclass(frozen=True)
class Colour:
    """Name a colour (RGB in 0 to 1)."""

    en: str
    zh: str
    rgb: tuple[float, float, float]


@dataclass(frozen=True)
class Action:
    """Describe one action; the two actions of a `pair` are time reversals of each other.

    `reverses` says that its videos are those of the other action played backwards. The texts take the fields `shape`
    and `shapes` (the plural).
    """

    name: str
    pair: str
    reverses: bool
    en: str
    zh: str


SHAPES = (
    Shape("circle", "circles", "圆形", shapes.circle),
    Shape("square", "squares", "正方形", shapes.square),
    Shape("triangle", "triangles", "三角形", shapes.triangle),
    Shape("star", "stars", "星形", shapes.star),
    Shape("cross", "crosses", "十字形", shapes.cross),
    Shape("ring", "rings", "圆环", shapes.ring),
    Shape("heart", "hearts", "心形", shapes.heart),
    Shape("moon", "moons", "月牙", shapes.moon),
)

# All brighter than any background, so that outlines do not hang on hue.
COLOURS = (
    Colour("red", "红色", (1.0, 0.36, 0.36)),
    Colour("orange", "橙色", (1.0, 0.64, 0.22)),
    Colour("yellow", "黄色", (1.0, 0.95, 0.35)),
    Colour("green", "绿色", (0.4, 0.95, 0.42)),
    Colour("cyan", "青色", (0.35, 0.95, 1.0)),
    Colour("blue", "蓝色", (0.42, 0.58, 1.0)),
    Colour("purple", "紫色", (0.82, 0.48, 1.0)),
    Colour("white", "白色", (1.0, 1.0, 1.0)),
)

ACTIONS = (
    Action("left", "horizontal", False, "{shape} moving left", "{shape}向左移动"),
    Action("right", "horizontal", True, "{shape} moving right", "{shape}向右移动"),
    Action("up", "vertical", False, "{shape} moving up", "{shape}向上移动"),
    Action("down", "vertical", True, "{shape} moving down", "{shape}向下移动"),
    Action("growing", "size", False, "{shape} growing", "{shape}变大"),
    Action("shrinking", "size", True, "{shape} shrinking", "{shape}缩小"),
    Action("clockwise", "rotation", False, "{shape} turning clockwise", "{shape}顺时针旋转"),
    Action("counter-clockwise", "rotation", True, "{shape} turning counter-clockwise", "{shape}逆时针旋转"),
    Action("approaching", "distance", False, "two {shapes} approaching", "两个{shape}靠近"),
    Action("separating", "distance", True, "two {shapes} separating", "两个{shape}分开"),
    Action("appearing", "presence", False, "{shape} appearing", "{shape}出现"),
    Action("vanishing", "presence", True, "{shape} vanishing", "{shape}消失"),
)

PAIRS = tuple(dict.fromkeys(action.pair for action in ACTIONS))

# Two shapes of every pair are never trained on: of pair p the shapes p and p + this, counted round the list of shapes.
HELD_OUT_STEP = 3


@dataclass(frozen=True)
class ActionLabel:
    """One label: a shape that performs an action; `label_id` is its row in the label list."""

    label_id: int
    shape: Shape
    action: Action

    @property
    def en(self) -> str:
        """Return the English text."""
        return self.action.en.format(shape=self.shape.en, shapes=self.shape.plural)

    @property
    def zh(self) -> str:
        """Return the Chinese text."""
        return self.action.zh.format(shape=self.shape.zh)

    @property
    def is_novel(self) -> bool:
        """Tell whether the composition is held out of training (with its time reversal)."""
        pair, shape = PAIRS.index(self.action.pair), SHAPES.index(self.shape)
        return (shape - pair) % len(SHAPES) in (0, HELD_OUT_STEP)

    @property
    def reversed_id(self) -> int:
        """Return the label id of the same shape with the action played backwards."""
        return self.label_id + (-1 if self.action.reverses else 1)


def motion_shapes_labels() -> tuple[ActionLabel, ...]:
    """List every shape with every action; the two actions of a pair are neighbours."""
    compositions = ((shape, action) for shape in SHAPES for action in ACTIONS)
    return tuple(ActionLabel(index, shape, action) for index, (shape, action) in enumerate(compositions))
