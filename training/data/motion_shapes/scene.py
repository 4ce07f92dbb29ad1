"""Random scenes: what moves, from where to where, and the texture behind it.

Lengths are in units of the frame's short side, angles in radians clockwise, times in fractions of the video. Drawing is
in `render`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from training.data.motion_shapes.exact import cosine, sine
from training.data.motion_shapes.vocabulary import COLOURS, ActionLabel, Colour, Shape

NUM_WAVES = 3


@dataclass(frozen=True)
class Pose:
    """Place one shape: centre in the central square of the frame, radius, angle, opacity."""

    x: float
    y: float
    radius: float
    angle: float = 0.0
    opacity: float = 1.0


@dataclass(frozen=True)
class Motion:
    """Move from one pose to another at constant speed."""

    start: Pose
    stop: Pose

    def at(self, time: float) -> Pose:
        """Return the pose at a time in 0 to 1."""
        start, stop = self.start, self.stop
        return Pose(
            *(
                before + (after - before) * time
                for before, after in (
                    (start.x, stop.x),
                    (start.y, stop.y),
                    (start.radius, stop.radius),
                    (start.angle, stop.angle),
                    (start.opacity, stop.opacity),
                )
            )
        )


@dataclass(frozen=True)
class Background:
    """Texture made of plane waves that drift: per wave its frequency, phase, drift over the video, and colour."""

    base: Float[np.ndarray, " 3"]
    frequency: Float[np.ndarray, "waves 2"]
    phase: Float[np.ndarray, " waves"]
    drift: Float[np.ndarray, " waves"]
    amplitude: Float[np.ndarray, "waves 3"]


@dataclass(frozen=True)
class Scene:
    """Hold all that a video shows; one motion for each shape on the screen."""

    shape: Shape
    colour: Colour
    motions: tuple[Motion, ...]
    background: Background

    def reversed(self) -> "Scene":
        """Return the scene whose frame at time t is this scene's frame at 1 - t."""
        behind = self.background
        return replace(
            self,
            motions=tuple(Motion(motion.stop, motion.start) for motion in self.motions),
            background=replace(behind, phase=behind.phase + behind.drift, drift=-behind.drift),
        )


def draw_scene(label: ActionLabel, *, rng: np.random.Generator) -> Scene:
    """Draw a scene of a label.

    Both actions of a pair draw the same scene, and the second plays it backwards: so frames without their order have
    the same distribution under both.
    """
    scene = Scene(
        shape=label.shape,
        colour=COLOURS[rng.integers(len(COLOURS))],
        motions=_MOTIONS[label.action.pair](rng),
        background=draw_background(rng),
    )
    return scene.reversed() if label.action.reverses else scene


def draw_background(rng: np.random.Generator) -> Background:
    """Draw a dull texture of drifting waves."""
    direction = rng.uniform(0, 2 * np.pi, NUM_WAVES)
    frequency = rng.uniform(0.7, 4, NUM_WAVES)
    return Background(
        base=rng.uniform(0.06, 0.22) + rng.uniform(-0.05, 0.05, 3),
        frequency=frequency[:, None] * np.stack([cosine(direction), sine(direction)], axis=1),
        phase=rng.uniform(0, 1, NUM_WAVES),
        drift=rng.uniform(-2, 2, NUM_WAVES),
        amplitude=rng.uniform(0.01, 0.05, (NUM_WAVES, 1)) * rng.uniform(0.4, 1, (NUM_WAVES, 3)),
    )


def draw_pose(rng: np.random.Generator) -> Pose:
    """Draw a resting pose near the middle of the frame, nearly upright."""
    x, y = rng.uniform(0.44, 0.56, 2)
    return Pose(x, y, rng.uniform(0.24, 0.3), rng.uniform(-0.1, 0.1))


def _draw_slide(rng: np.random.Generator) -> tuple[float, float]:
    """Draw the end and start of a travel towards smaller coordinates."""
    length = rng.uniform(0.3, 0.44)
    stop = rng.uniform(0.26, 0.74 - length)
    return stop, stop + length


def _horizontal(rng: np.random.Generator) -> tuple[Motion, ...]:
    """Move left."""
    pose = draw_pose(rng)
    stop, start = _draw_slide(rng)
    return (Motion(replace(pose, x=start), replace(pose, x=stop)),)


def _vertical(rng: np.random.Generator) -> tuple[Motion, ...]:
    """Move up."""
    pose = draw_pose(rng)
    stop, start = _draw_slide(rng)
    return (Motion(replace(pose, y=start), replace(pose, y=stop)),)


def _size(rng: np.random.Generator) -> tuple[Motion, ...]:
    """Grow."""
    pose = draw_pose(rng)
    small = rng.uniform(0.14, 0.18)
    large = small * rng.uniform(2, 2.3)
    return (Motion(replace(pose, radius=small), replace(pose, radius=large)),)


def _rotation(rng: np.random.Generator) -> tuple[Motion, ...]:
    """Turn clockwise by less than a full turn, so that eight frames leave no doubt about the direction."""
    pose = replace(draw_pose(rng), angle=rng.uniform(0, 2 * np.pi))
    return (Motion(pose, replace(pose, angle=pose.angle + rng.uniform(0.8, 1.7) * np.pi)),)


def _distance(rng: np.random.Generator) -> tuple[Motion, ...]:
    """Approach each other on a line of any direction."""
    pose = replace(draw_pose(rng), radius=rng.uniform(0.16, 0.19))
    near = pose.radius * rng.uniform(0.9, 1.15)
    far = near + rng.uniform(0.13, 0.18)
    direction = rng.uniform(0, 2 * np.pi)
    x, y = rng.uniform(0.46, 0.54, 2)
    step_x, step_y = float(cosine(direction)), float(sine(direction))
    return tuple(
        Motion(
            replace(pose, x=x + side * far * step_x, y=y + side * far * step_y),
            replace(pose, x=x + side * near * step_x, y=y + side * near * step_y),
        )
        for side in (-1, 1)
    )


def _presence(rng: np.random.Generator) -> tuple[Motion, ...]:
    """Appear."""
    pose = draw_pose(rng)
    faint, solid = rng.uniform(0, 0.12), rng.uniform(0.88, 1)
    return (Motion(replace(pose, opacity=faint), replace(pose, opacity=solid)),)


_MOTIONS: dict[str, Callable[[np.random.Generator], tuple[Motion, ...]]] = {
    "horizontal": _horizontal,
    "vertical": _vertical,
    "size": _size,
    "rotation": _rotation,
    "distance": _distance,
    "presence": _presence,
}
