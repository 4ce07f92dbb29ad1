"""Thin lines and arrows on a pixel grid, from signed distances; positions are in units of the short side."""

import numpy as np
from jaxtyping import Float

from training.data.motion_shapes.exact import cosine, length, sine
from training.data.motion_shapes.render import PixelGrid
from training.data.motion_shapes.shapes import Coordinates

LINE_HALF_WIDTH = 0.024
HEAD_LENGTH = 0.17
# Half the width of an arrow's head, as a share of its length.
HEAD_SLOPE = 0.65

Point = Float[np.ndarray, " 2"]


def heading(angle: float) -> Point:
    """Return the unit vector of an angle, clockwise from the right."""
    return np.array([cosine(angle), sine(angle)])


def direction(vector: Point) -> Point:
    """Return the unit vector along a vector, to the right where it is none."""
    size = length(*vector)
    return vector / size if size > 0 else heading(0.0)


def inked(distance: Coordinates, *, grid: PixelGrid) -> Coordinates:
    """Return how much of each pixel lies where a distance is negative."""
    return np.clip(0.5 - distance * np.float32(grid.pixels_per_unit), 0, 1)


def ray(start: Point, stop: Point, *, grid: PixelGrid) -> Coordinates:
    """Return the coverage of a straight line."""
    return inked(_stroke(start, stop, grid=grid), grid=grid)


def arrow(start: Point, stop: Point, *, grid: PixelGrid) -> Coordinates:
    """Return the coverage of a straight arrow."""
    along = direction(stop - start)
    shaft = _stroke(start, stop - along * HEAD_LENGTH / 2, grid=grid)
    return inked(np.minimum(shaft, head(stop, direction=along, grid=grid)), grid=grid)


def head(tip: Point, *, direction: Point, grid: PixelGrid) -> Coordinates:
    """Measure the triangle at an arrow's tip; `direction` has length 1."""
    (x0, y0), (dx, dy) = tip.astype(np.float32), direction.astype(np.float32)
    x, y = x0 - grid.x, y0 - grid.y
    behind, beside = x * dx + y * dy, np.abs(x * dy - y * dx)
    return np.maximum(beside - np.float32(HEAD_SLOPE) * behind, behind - np.float32(HEAD_LENGTH))


def curve(centre: Point, *, radius: float, start: float, span: float, grid: PixelGrid) -> Coordinates:
    """Measure an arc from the angle `start` over `span`, below half a turn and negative for a counter-clockwise arc."""
    x, y = grid.x - np.float32(centre[0]), grid.y - np.float32(centre[1])
    # Between two rays less than half a turn apart lies what is ahead of the first and behind the second.
    first, last = (start, start + span) if span > 0 else (start + span, start)
    (x0, y0), (x1, y1) = heading(first).astype(np.float32), heading(last).astype(np.float32)
    is_swept = (x0 * y - y0 * x >= 0) & (x * y1 - y * x1 >= 0)
    line = np.abs(length(x, y) - np.float32(radius)) - np.float32(LINE_HALF_WIDTH)
    return np.where(is_swept, line, np.float32(1))


def _stroke(start: Point, stop: Point, *, grid: PixelGrid) -> Coordinates:
    """Measure a straight line with round ends."""
    (x0, y0), (dx, dy) = start.astype(np.float32), (stop - start).astype(np.float32)
    x, y = grid.x - x0, grid.y - y0
    share = np.clip((x * dx + y * dy) / max(float(dx * dx + dy * dy), 1e-9), 0, 1)
    return length(x - share * dx, y - share * dy) - np.float32(LINE_HALF_WIDTH)
