"""The clip of known frames: what it holds, and that views of other frames are told from its own."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from service.contract.errors import DecoderUnavailableError
from service.contract.manifest import Sampling
from service.contract.views import VideoViews, ViewPlan, ViewRules
from service.decoding.golden_clip import GOLDEN_CLIP, NUM_FRAMES, check_golden_views
from tests.service.decoding.golden_clip import write_golden_clip
from tests.service.decoding.rules import RULES

WINDOWS = replace(RULES, sampling=Sampling(rule="rounded_segments", num_frames=4, num_local_frames=3))


def views_of(path: Path, *, rules: ViewRules = RULES, plan: str = "1x1") -> VideoViews:
    return rules.read(path, plan=ViewPlan.parse(plan))


@pytest.mark.parametrize("plan", ["1x1", "2x3", "10x1"])
@pytest.mark.parametrize("rules", [RULES, WINDOWS])
def test_clip_is_what_it_says(rules: ViewRules, plan: str, tmp_path: Path) -> None:
    for path in (GOLDEN_CLIP, write_golden_clip(tmp_path / "again.mp4")):
        views = views_of(path, rules=rules, plan=plan)
        assert (views.info.num_frames, views.degraded) == (NUM_FRAMES, None)
        check_golden_views(views)


@pytest.mark.parametrize("wrong", ["order", "pixel", "black"])
def test_wrong_frames_are_noticed(wrong: str) -> None:
    views = views_of(GOLDEN_CLIP)
    pixels = views.views.copy()
    if wrong == "order":
        pixels = pixels[:, ::-1]
    elif wrong == "pixel":
        pixels[0, 0, 5, 5, 1] += np.uint8(9)
    else:
        pixels[:] = 0
    with pytest.raises(DecoderUnavailableError, match="a clip of known frames is read wrongly, by up to"):
        check_golden_views(replace(views, views=np.ascontiguousarray(pixels)))
