"""Still pictures and the facts about them: the pre-training data of the tiny CLIP.

A still either hints at an action by static cues, or is a plain picture of which only the layout can be told. Captions
are drawn from the facts elsewhere, anew each time a still is used.
"""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context

import numpy as np
from jaxtyping import UInt8
from rich.progress import track

from training.data.motion_shapes.exact import length
from training.data.motion_shapes.render import PixelGrid, paint_background, paint_shape, quantise
from training.data.motion_shapes.scene import Scene, draw_scene
from training.data.motion_shapes.vocabulary import COLOURS, SHAPES, ActionLabel, motion_shapes_labels
from training.demo.captions import Facts, predicate_number
from training.demo.cues import paint_cued_scene

# Share of the stills that hint at their action. Turning has fewer, for its plain stills alone teach what an angle is.
CUED_FRACTION = 0.6
CUED_FRACTION_TURNING = 0.4
SIZE_LIMITS = (0.18, 0.24, 0.29, 0.34)
OPACITY_LIMITS = (0.3, 0.55, 0.8)
# Gap between the centres of two shapes, in radii.
DISTANCE_LIMITS = (2.2, 2.8, 3.5)


@dataclass(frozen=True)
class Still:
    """Hold one picture with what is true of it."""

    pixels: UInt8[np.ndarray, "H W 3"]
    facts: Facts


def draw_stills(count: int, *, seed: int, size_pixels: int, num_workers: int) -> list[Still]:
    """Draw stills with several processes; the same seed gives the same stills, whatever the number of processes.

    Stills 2i and 2i + 1 are twins: one scene and moment, of which the second plays the action backwards. Side by side
    in a batch they teach what separates the two actions of a pair, as nothing else tells them apart.
    """
    draw = partial(_draw_numbered, seed=seed, size_pixels=size_pixels)
    with ProcessPoolExecutor(num_workers, mp_context=get_context("spawn")) as pool:
        drawn = pool.map(draw, range(count), chunksize=256)
        return list(track(drawn, total=count, description="drawing stills"))


def draw_still(label: ActionLabel, *, grid: PixelGrid, rng: np.random.Generator) -> Still:
    """Draw a still of a label's shape: with the cues of its action, or plain."""
    scene = draw_scene(label, rng=rng)
    if rng.random() < (CUED_FRACTION_TURNING if label.action.pair == "rotation" else CUED_FRACTION):
        canvas = paint_cued_scene(scene, action=label.action, grid=grid, time=rng.uniform(0.6, 1), rng=rng)
        predicates: Sequence[int] = [predicate_number("action", label.action.name)]
    else:
        time = rng.uniform(0, 1)
        canvas = paint_background(scene.background, grid=grid, time=time)
        for motion in scene.motions:
            paint_shape(canvas, scene.shape, scene.colour, pose=motion.at(time), grid=grid)
        predicates = describe_layout(scene, time=time)
    facts = Facts(SHAPES.index(scene.shape), COLOURS.index(scene.colour), len(scene.motions) == 2, tuple(predicates))
    return Still(quantise(canvas), facts)


def describe_layout(scene: Scene, *, time: float) -> list[int]:
    """Say where, how large, how visible and how far apart the shapes of a moment are.

    Of a turned shape nothing is said but how it is turned: the angle is what a tower learns last.
    """
    poses = [motion.at(time) for motion in scene.motions]
    pose = poses[0]
    direction = round(pose.angle / (np.pi / 4)) % 8
    if direction:
        return [predicate_number("direction", direction)]
    if len(poses) == 2:
        gap = length(pose.x - poses[1].x, pose.y - poses[1].y) / pose.radius
        return [predicate_number("distance", np.searchsorted(DISTANCE_LIMITS, gap))]
    column, row = (min(int(max(value, 0) * 3), 2) for value in (pose.x, pose.y))
    predicates = [
        predicate_number("place", column, row),
        predicate_number("size", np.searchsorted(SIZE_LIMITS, pose.radius)),
    ]
    opacity = int(np.searchsorted(OPACITY_LIMITS, pose.opacity))
    return predicates if opacity == len(OPACITY_LIMITS) else [*predicates, predicate_number("opacity", opacity)]


def _draw_numbered(number: int, *, seed: int, size_pixels: int) -> Still:
    """Draw the still of a number; twins share their random numbers."""
    rng = np.random.default_rng((seed, number // 2))
    labels = motion_shapes_labels()
    label = labels[int(rng.integers(len(labels)))]
    shown = label if number % 2 == 0 else labels[label.reversed_id]
    return draw_still(shown, grid=PixelGrid.of(width=size_pixels, height=size_pixels), rng=rng)
