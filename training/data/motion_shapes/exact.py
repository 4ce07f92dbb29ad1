"""Sine, cosine and length by the operations that IEEE 754 rounds alike everywhere: + - * / and square roots.

The mathematical libraries, numpy's and the system's, differ in the last bit from one class of CPU to the next, and so
do sums and products of matrices, whose order is the library's. A difference in the last bit is a grey level in one of
some million pixels, and after that another file.
"""

from math import factorial
from typing import TypeVar

import numpy as np

# A number or an array of any shape.
Real = TypeVar("Real", float, np.ndarray)

# pi / 2 in two parts, the first of so few bits that a few thousand times it is exact (Cody and Waite 1980).
_QUARTER_TURN = (1.57079632673412561417, 6.07710050650619224932e-11)
# Taylor's series up to the 18th power: below pi / 4 the rest is under 1e-19.
_SINE = [(-1) ** n / factorial(2 * n + 1) for n in range(9)]
_COSINE = [(-1) ** n / factorial(2 * n) for n in range(10)]


def sine(angle: Real) -> Real:
    """Compute the sine of angles in radians, within 4e-16, below some thousand turns."""
    return _sine(angle, num_quarters_ahead=0)


def cosine(angle: Real) -> Real:
    """Compute the cosine of angles in radians, within 4e-16, below some thousand turns."""
    return _sine(angle, num_quarters_ahead=1)


def length(x: Real, y: Real) -> Real:
    """Compute the length of vectors."""
    return np.sqrt(x * x + y * y)


def _sine(angle: Real, *, num_quarters_ahead: int) -> Real:
    quarters = np.rint(angle / (np.pi / 2))
    rest = angle - quarters * _QUARTER_TURN[0] - quarters * _QUARTER_TURN[1]
    square = rest * rest
    sines, cosines = rest * _polynomial(_SINE, square), _polynomial(_COSINE, square)
    quadrant = (quarters.astype(np.int64) + num_quarters_ahead) % 4
    return np.where(quadrant % 2 == 0, sines, cosines) * np.where(quadrant < 2, 1.0, -1.0)


def _polynomial(coefficients: list[float], x: Real) -> Real:
    """Evaluate a polynomial, the constant first (Horner)."""
    value = x * 0.0 + coefficients[-1]
    for coefficient in coefficients[-2::-1]:
        value = value * x + coefficient
    return value
