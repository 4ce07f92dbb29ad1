"""Outlines of the shapes as signed distance functions.

Each function takes points in the shape's own frame (x to the right, y down, the shape within the unit circle) and
returns a distance that is negative inside. Drawing and colours are elsewhere.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from training.data.motion_shapes.exact import cosine, length, sine

Coordinates = Float[np.ndarray, "H W"]
Outline = Callable[[Coordinates, Coordinates], Coordinates]

# Of a five-pointed star, from the axis of a tip to the valley beside it.
_VALLEY_COSINE, _VALLEY_SINE = float(cosine(np.pi / 5)), float(sine(np.pi / 5))


def circle(x: Coordinates, y: Coordinates) -> Coordinates:
    """Measure a disc."""
    return length(x, y) - 0.9


def ring(x: Coordinates, y: Coordinates) -> Coordinates:
    """Measure an annulus."""
    return np.abs(length(x, y) - 0.7) - 0.24


def square(x: Coordinates, y: Coordinates) -> Coordinates:
    """Measure an axis-parallel square."""
    return _box(x, y, half_width=0.76, half_height=0.76)


def triangle(x: Coordinates, y: Coordinates) -> Coordinates:
    """Measure an equilateral triangle that points up."""
    return np.maximum(y, np.abs(x) * np.sqrt(0.75) - y / 2) - 0.53


def star(x: Coordinates, y: Coordinates) -> Coordinates:
    """Measure a five-pointed star with one point up, by folding the plane into one half of a point."""
    along, across = -y, np.abs(x)
    # Each fold mirrors at the line through the valley beside the upper tip what lies beyond it; two reach every tip.
    for _ in range(2):
        beyond = 2 * np.maximum(across * _VALLEY_COSINE - along * _VALLEY_SINE, 0)
        along, across = along + beyond * _VALLEY_SINE, np.abs(across - beyond * _VALLEY_COSINE)
    outer, inner = 1.05, 0.45
    edge_along, edge_across = inner * _VALLEY_COSINE - outer, inner * _VALLEY_SINE
    return ((along - outer) * edge_across - across * edge_along) / float(length(edge_along, edge_across))


def cross(x: Coordinates, y: Coordinates) -> Coordinates:
    """Measure an upright cross of equal arms."""
    upright = _box(x, y, half_width=0.32, half_height=0.95)
    return np.minimum(upright, _box(x, y, half_width=0.95, half_height=0.32))


def heart(x: Coordinates, y: Coordinates) -> Coordinates:
    """Measure a heart: a square on its tip with a disc on each upper side."""
    half_side = 0.55
    offset = half_side / np.sqrt(2)
    tip = (np.abs(x) + np.abs(y)) / np.sqrt(2) - half_side
    return np.minimum(tip, length(np.abs(x) - offset, y + offset) - half_side)


def moon(x: Coordinates, y: Coordinates) -> Coordinates:
    """Measure a crescent that opens to the right."""
    return np.maximum(length(x, y) - 0.95, 0.72 - length(x - 0.5, y))


def _box(x: Coordinates, y: Coordinates, *, half_width: float, half_height: float) -> Coordinates:
    """Measure a rectangle; outside its corners the distance is a lower bound."""
    return np.maximum(np.abs(x) - half_width, np.abs(y) - half_height)
