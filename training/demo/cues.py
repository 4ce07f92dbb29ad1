"""Static cues: how a still hints at an action that a single video frame does not show.

Photographs hint at actions by blur, posture and context. Here an action leaves ghosts of earlier moments, and arrows,
rays or dust, in the pre-training stills only; videos never show them. The pen that draws lines is in `pen`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from training.data.motion_shapes.exact import length
from training.data.motion_shapes.render import (
    Canvas,
    PixelGrid,
    cover,
    local_points,
    paint,
    paint_background,
    paint_shape,
)
from training.data.motion_shapes.scene import Pose, Scene
from training.data.motion_shapes.vocabulary import Action
from training.demo.pen import HEAD_LENGTH, arrow, curve, direction, head, heading, inked, ray

GHOST_TIMES = (0.0, 0.33, 0.66)
GHOST_OPACITIES = (0.15, 0.28, 0.42)
OUTLINE_OPACITIES = (0.3, 0.5, 0.7)
OUTLINE_HALF_WIDTH = 0.02
MIN_OPACITY = 0.5
NUM_HOLES = 14
SIGN_COLOUR = 1.0


@dataclass(frozen=True)
class Moment:
    """Hold one shape at the moment of a still: its pose and its earlier poses."""

    scene: Scene
    action: Action
    grid: PixelGrid
    pose: Pose
    trail: tuple[Pose, ...]


Sign = Callable[[Canvas, Moment, np.random.Generator], None]


def paint_cued_scene(scene: Scene, *, action: Action, grid: PixelGrid, time: float, rng: np.random.Generator) -> Canvas:
    """Paint a scene at a time, with the ghosts and signs of its action."""
    canvas = paint_background(scene.background, grid=grid, time=time)
    moments = [
        Moment(scene, action, grid, motion.at(time), tuple(motion.at(time * share) for share in GHOST_TIMES))
        for motion in scene.motions
    ]
    paint_sign, leaves_ghosts = _SIGNS[action.pair]
    for moment in moments if leaves_ghosts else ():
        for pose, opacity in zip(moment.trail, GHOST_OPACITIES, strict=True):
            _paint(canvas, moment, pose=replace(pose, opacity=opacity))
    for moment in moments:
        _paint(canvas, moment, pose=replace(moment.pose, opacity=max(moment.pose.opacity, MIN_OPACITY)))
    for moment in moments:
        paint_sign(canvas, moment, rng)
    return canvas


def _paint_travel(canvas: Canvas, moment: Moment, rng: np.random.Generator) -> None:
    """Paint an arrow along the travel, across the shape."""
    pose, origin = moment.pose, moment.trail[0]
    travel = direction(np.array([pose.x - origin.x, pose.y - origin.y]))
    side = np.array([-travel[1], travel[0]]) * rng.uniform(-0.5, 0.5) * pose.radius
    reach = pose.radius + rng.uniform(0.06, 0.12)
    middle = np.array([pose.x, pose.y]) + side
    paint(canvas, SIGN_COLOUR, arrow(middle - travel * reach * 0.7, middle + travel * reach, grid=moment.grid))


def _paint_size(canvas: Canvas, moment: Moment, rng: np.random.Generator) -> None:
    """Paint the outlines of earlier sizes, and arrows that point outwards or inwards."""
    pose, grid = moment.pose, moment.grid
    for ghost, opacity in zip(moment.trail, OUTLINE_OPACITIES, strict=True):
        distance = moment.scene.shape.outline(*local_points(ghost, grid=grid))
        line = np.abs(distance) - np.float32(OUTLINE_HALF_WIDTH / ghost.radius)
        paint(canvas, SIGN_COLOUR, cover(line, pose=ghost, grid=grid) * np.float32(opacity))
    centre = np.array([pose.x, pose.y])
    for angle in rng.uniform(0, np.pi / 2) + np.arange(4) * np.pi / 2:
        near, far = (centre + heading(angle) * (pose.radius + gap) for gap in (-0.02, 0.18))
        start, stop = (far, near) if moment.action.reverses else (near, far)
        paint(canvas, SIGN_COLOUR, arrow(start, stop, grid=grid))


def _paint_rotation(canvas: Canvas, moment: Moment, rng: np.random.Generator) -> None:
    """Paint a curved arrow from the top down the right side of the shape: clockwise; down the left side: back."""
    pose, grid = moment.pose, moment.grid
    turn = -1.0 if moment.action.reverses else 1.0
    span = turn * rng.uniform(0.7, 0.9) * np.pi
    start = -np.pi / 2 - 0.08 * span
    stop = start + span
    radius = pose.radius * 1.1 + 0.04
    centre = np.array([pose.x, pose.y])
    tangent = turn * heading(stop + np.pi / 2)
    line = curve(centre, radius=radius, start=start, span=span, grid=grid)
    tip = head(centre + radius * heading(stop) + tangent * HEAD_LENGTH / 2, direction=tangent, grid=grid)
    paint(canvas, SIGN_COLOUR, inked(np.minimum(line, tip), grid=grid))


def _paint_presence(canvas: Canvas, moment: Moment, rng: np.random.Generator) -> None:
    """Paint rays around a shape that appears; let dust eat a shape that vanishes."""
    pose, grid = moment.pose, moment.grid
    centre = np.array([pose.x, pose.y])
    if not moment.action.reverses:
        for angle in rng.uniform(0, np.pi) + np.arange(8) * np.pi / 4:
            start, stop = (centre + heading(angle) * (pose.radius + gap) for gap in (0.03, 0.1))
            paint(canvas, SIGN_COLOUR, ray(start, stop, grid=grid))
        return
    ground = paint_background(moment.scene.background, grid=grid, time=1.0)
    for _ in range(NUM_HOLES):
        x, y = (centre + rng.uniform(-1, 1, 2) * pose.radius).astype(np.float32)
        hole = length(grid.x - x, grid.y - y) - np.float32(rng.uniform(0.02, 0.05))
        canvas += inked(hole, grid=grid)[..., None] * (ground - canvas)


# Of each pair of actions: its sign, and whether earlier moments show as ghosts.
_SIGNS: dict[str, tuple[Sign, bool]] = {
    "horizontal": (_paint_travel, True),
    "vertical": (_paint_travel, True),
    "distance": (_paint_travel, True),
    "size": (_paint_size, False),
    "rotation": (_paint_rotation, False),
    "presence": (_paint_presence, False),
}


def _paint(canvas: Canvas, moment: Moment, *, pose: Pose) -> None:
    """Paint the moment's shape in a pose."""
    paint_shape(canvas, moment.scene.shape, moment.scene.colour, pose=pose, grid=moment.grid)
