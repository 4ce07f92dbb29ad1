"""Outlines of the shapes as signed distance functions.

Each function takes points in the shape's own frame (x to the right, y down, the shape within the unit circle) and
returns a distance that is negative inside. Drawing and colours are elsewhere.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

Coordinates = Float[np.ndarray, "H W"]
Outline = Callable[[Coordinates, Coordinates], Coordinates]


def circle(x: Coordinates, y: Coordinates) -> Coordinates:
    """Measure a disc."""
    return np.hypot(x, y) - 0.9


def ring(x: Coordinates, y: Coordinates) -> Coordinates:
    """Measure an annulus."""
    return np.abs(np.hypot(x, y) - 0.7) - 0.24


def square(x: Coordinates, y: Coordinates) -> Coordinates:
    """Measure an axis-parallel square."""
    return _box(x, y, half_width=0.76, half_height=0.76)


def triangle(x: Coordinates, y: Coordinates) -> Coordinates:
    """Measure an equilateral triangle that points up."""
    return np.maximum(y, np.abs(x) * np.sqrt(0.75) - y / 2) - 0.53


def star(x: Coordinates, y: Coordinates) -> Coordinates:
    """Measure a five-pointed star with one point up, by folding the plane into one half of a point."""
    tip_angle = np.pi / 5
    angle = np.abs((np.arctan2(x, -y) + tip_angle) % (2 * tip_angle) - tip_angle)
    radius = np.hypot(x, y)
    along, across = radius * np.cos(angle), radius * np.sin(angle)
    outer, inner = 1.05, 0.45
    edge_along, edge_across = inner * np.cos(tip_angle) - outer, inner * np.sin(tip_angle)
    return ((along - outer) * edge_across - across * edge_along) / np.hypot(edge_along, edge_across)


def cross(x: Coordinates, y: Coordinates) -> Coordinates:
    """Measure an upright cross of equal arms."""
    upright = _box(x, y, half_width=0.32, half_height=0.95)
    return np.minimum(upright, _box(x, y, half_width=0.95, half_height=0.32))


def heart(x: Coordinates, y: Coordinates) -> Coordinates:
    """Measure a heart: a square on its tip with a disc on each upper side."""
    half_side = 0.55
    offset = half_side / np.sqrt(2)
    tip = (np.abs(x) + np.abs(y)) / np.sqrt(2) - half_side
    return np.minimum(tip, np.hypot(np.abs(x) - offset, y + offset) - half_side)


def moon(x: Coordinates, y: Coordinates) -> Coordinates:
    """Measure a crescent that opens to the right."""
    return np.maximum(np.hypot(x, y) - 0.95, 0.72 - np.hypot(x - 0.5, y))


def _box(x: Coordinates, y: Coordinates, *, half_width: float, half_height: float) -> Coordinates:
    """Measure a rectangle; outside its corners the distance is a lower bound."""
    return np.maximum(np.abs(x) - half_width, np.abs(y) - half_height)
