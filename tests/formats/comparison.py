"""What a service makes of a clip in one format, beside what it makes of the same clip in H.264."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from service.contract.decode import decode_frames
from tests.formats.table import Coding
from tests.formats.transcoding import FRAME_RATE, NUM_FRAMES, Clip, read_edge_number, transcode
from training.data.motion_shapes import motion_shapes_labels

LABELS = json.dumps([{"en": label.en, "zh": label.zh} for label in motion_shapes_labels()])
REFERENCE = Coding("libx264", options={"crf": "12"})


@dataclass(frozen=True)
class Seen:
    """What the service says: the best label, all scores by label, and which frames it looked at."""

    best: str
    scores: dict[str, float]
    indices: list[int]
    times: list[float]
    num_frames: int
    tone_mapped_from: str | None
    warnings: list[str]


@dataclass(frozen=True)
class Compared:
    """A clip in one format: whether its label is found, how far a score moves at most, whether frames are exact."""

    is_right: bool
    score_change: float
    is_exact: bool
    warnings: list[str]


def ask(client: httpx.Client, path: Path) -> Seen:
    """Ask a running service for all labels of a clip."""
    with path.open("rb") as file:
        response = client.post("/recognize", files={"video": file}, data={"labels": LABELS, "top_k": "96"})
    answer: dict[str, Any] = response.json()
    assert response.status_code == 200, f"{path.name}: {answer}"
    return Seen(
        best=answer["predictions"][0]["label"]["en"],
        scores={each["label"]["en"]: each["score"] for each in answer["predictions"]},
        indices=[each["index"] for each in answer["frames"]],
        times=[each["time_seconds"] for each in answer["frames"]],
        num_frames=answer["video"]["num_frames"],
        tone_mapped_from=answer["video"]["tone_mapped_from"],
        warnings=answer["warnings"],
    )


def ask_reference(client: httpx.Client, clip: Clip, *, folder: Path) -> Seen:
    """Ask for a clip in H.264 of high quality."""
    return ask(client, transcode(clip.frames, path=folder / "reference.mp4", container="mp4", coding=REFERENCE))


def compare(client: httpx.Client, clip: Clip, path: Path, *, reference: Seen, coding: Coding) -> Compared:
    """Compare a clip in one format with the reference."""
    seen = ask(client, path)
    expected_times = np.array(reference.indices) / FRAME_RATE
    is_told = (
        seen.indices == reference.indices
        and seen.num_frames == NUM_FRAMES
        and np.allclose(seen.times, expected_times, atol=2e-3)
        and seen.tone_mapped_from == coding.transfer
    )
    return Compared(
        is_right=seen.best == clip.label.en,
        score_change=max(abs(score - reference.scores[label]) for label, score in seen.scores.items()),
        is_exact=bool(is_told and shows_each_frame(path)),
        warnings=seen.warnings,
    )


def shows_each_frame(path: Path) -> bool:
    """Whether each decoded picture has its number at the edge."""
    decoded = decode_frames(path, select=np.arange, transform=np.copy).frames
    return [read_edge_number(frame) for frame in decoded] == list(range(NUM_FRAMES))
