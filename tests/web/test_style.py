"""The colours of the page: enough contrast to read, by day and by night."""

import re
from typing import Literal

import pytest

from tests.web.stub import WEB

DARK = "@media (prefers-color-scheme: dark)"


def _colours(scheme: Literal["light", "dark"]) -> dict[str, str]:
    light, _, dark = (WEB / "style.css").read_text(encoding="utf-8").partition(DARK)
    return dict(re.findall(r"--([\w-]+): #([0-9a-f]{6});", light if scheme == "light" else dark))


def _luminance(colour: str) -> float:
    """Relative luminance by WCAG 2.2."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    ("front", "back"),
    [
        ("text", "ground"),
        ("text", "accent-soft"),
        ("muted", "ground"),
        ("muted", "surface"),
        ("muted", "accent-soft"),
        ("accent", "surface"),
        ("accent-text", "accent"),
        ("error", "surface"),
        ("notice-text", "notice"),
    ],
)
def test_text_stands_out_from_its_ground(scheme: Literal["light", "dark"], front: str, back: str) -> None:
    colours = _colours(scheme)
    light, dark = sorted([_luminance(colours[front]), _luminance(colours[back])], reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 4.5
