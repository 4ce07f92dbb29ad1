"""A clip of known label keeps its answer in every container, codec and profile that can be written here.

`python -m tests.formats` prints the whole table, with more clips.
"""

from pathlib import Path

import httpx
import pytest

from tests.formats.comparison import Seen, ask_reference, compare
from tests.formats.table import FORMATS
from tests.formats.transcoding import Clip, UnwritableError, render_clips, transcode

# Measured on 24 clips: coding alone moves a score by 0.05 at most, the curve that brings down high range by 0.11. High
# range that is read as standard range moves it by 0.4.
SCORE_TOLERANCE, HDR_SCORE_TOLERANCE = 0.06, 0.12
# Encoders that the wheel of PyAV lacks, and containers that do not take a codec or cannot name it.
FEWEST_FORMATS = 95


@pytest.fixture(scope="module")
def clip() -> Clip:
    (clip,) = render_clips(1)
    return clip


@pytest.fixture(scope="module")
def reference(demo: httpx.Client, clip: Clip, tmp_path_factory: pytest.TempPathFactory) -> Seen:
    seen = ask_reference(demo, clip, folder=tmp_path_factory.mktemp("reference"))
    assert seen.best == clip.label.en
    return seen


@pytest.fixture(scope="module")
def written(clip: Clip, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("formats")
    paths = {}
    for number, (name, (container, coding)) in enumerate(FORMATS.items()):
        try:
            paths[name] = transcode(clip.frames, path=folder / str(number), container=container, coding=coding)
        except UnwritableError:
            continue
    return paths


def test_most_formats_can_be_written_here(written: dict[str, Path]) -> None:
    assert len(written) >= FEWEST_FORMATS, sorted(set(FORMATS) - set(written))


def test_every_format_gives_the_answer_and_the_frames_of_the_reference(
    demo: httpx.Client, clip: Clip, reference: Seen, written: dict[str, Path]
) -> None:
    faults = {}
    for name, path in written.items():
        coding = FORMATS[name][1]
        found = compare(demo, clip, path, reference=reference, coding=coding)
        tolerance = HDR_SCORE_TOLERANCE if coding.transfer else SCORE_TOLERANCE
        if not (found.is_right and found.is_exact and found.score_change <= tolerance) or found.warnings:
            faults[name] = found
    assert faults == {}
