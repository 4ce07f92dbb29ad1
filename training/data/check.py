"""Whether a data folder is sound: its videos, their content and their splits, and the order of its labels.

Everything wrong is found in one go, where training would stop at the first. Nothing is repaired.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Int64, UInt8

from service.contract.errors import VideoError
from service.contract.labels import read_label_table
from service.contract.wording import list_some
from training.data.annotations import ANNOTATIONS_NAME, LABELS_NAME, Annotation, VideoData, read_tables
from training.data.class_order import find_disagreements
from training.data.datasets.label_orders import LabelOrder, describe_order
from training.data.frame_folders import decode_video, digest_video, size_bytes

Severity = Literal["error", "warning"]
# Wraps what takes long, and shows how far it is: items, how many, and what is done.
Track = Callable[[Iterable[Any], int, str], Iterable[Any]]


@dataclass(frozen=True)
class Problem:
    """Something wrong with a data folder; only errors make it unfit."""

    kind: str
    message: str
    severity: Severity = "error"


@dataclass(frozen=True)
class DataCheck:
    """What a check found; ``counts`` are videos of each label, in the order of the labels, by split."""

    name: str
    labels: tuple[str, ...]
    counts: dict[str, tuple[int, ...]]
    num_decoded: int
    order: LabelOrder
    problems: tuple[Problem, ...]

    @property
    def is_sound(self) -> bool:
        """Whether no error was found."""
        return all(each.severity != "error" for each in self.problems)

    def to_json(self) -> dict[str, Any]:
        """The check as plain data."""
        return {
            "name": self.name,
            "sound": self.is_sound,
            "splits": {split: sum(counts) for split, counts in self.counts.items()},
            "labels": [
                {"label": label, **{split: counts[index] for split, counts in self.counts.items()}}
                for index, label in enumerate(self.labels)
            ],
            "num_decoded": self.num_decoded,
            "label_order": asdict(self.order),
            "problems": [asdict(each) for each in self.problems],
        }


def check_data(directory: Path, *, num_decoded: int | None, seed: int, num_workers: int, track: Track) -> DataCheck:
    """Check a data folder; decode that many videos, drawn with the seed, from first to last frame, or all for None.

    Raises:
        DataError: a table is missing or cannot be read.
        LabelError: the table of labels is wrong.
    """
    data = read_tables(directory)
    names = read_label_table(directory / LABELS_NAME).originals
    there = [each for each in data.annotations if data.path_of(each).exists()]
    drawn = _draw(sorted({each.video for each in there}), number=num_decoded, seed=seed)
    paths = [data.videos_directory / video for video in drawn]
    problems = [
        *_find_missing(data, there=there),
        *_find_repeats(data, there=there, track=track),
        *_find_undecodable(drawn, paths=paths, num_workers=num_workers, track=track),
        *_find_label_faults(data, names=names),
    ]
    return DataCheck(
        name=data.name,
        labels=tuple(map(str, data.labels)),
        counts=_count(data),
        num_decoded=len(drawn),
        order=describe_order(names),
        problems=tuple(problems),
    )


def _count(data: VideoData) -> dict[str, tuple[int, ...]]:
    counts = Counter((each.split, each.label_id) for each in data.annotations)
    splits = dict.fromkeys(each.split for each in data.annotations)
    return {split: tuple(counts[split, index] for index in range(len(data.labels))) for split in splits}


def _find_missing(data: VideoData, *, there: Sequence[Annotation]) -> Iterator[Problem]:
    present = {each.video for each in there}
    if missing := sorted({each.video for each in data.annotations} - present):
        yield Problem("missing", f"{len(missing)} videos are missing in {data.videos_directory}: {list_some(missing)}")


def _find_repeats(data: VideoData, *, there: Sequence[Annotation], track: Track) -> Iterator[Problem]:
    """Find videos that are listed twice or have another's content, which is read of files of equal size alone."""
    sizes: dict[int, set[str]] = defaultdict(set)
    videos = list(dict.fromkeys(each.video for each in there))
    for video in track(videos, len(videos), "reading sizes"):
        sizes[size_bytes(data.videos_directory / video)].add(video)
    empty = sorted(sizes.pop(0, ()))
    alike = sorted(video for group in sizes.values() if len(group) > 1 for video in group)
    digests = {
        video: digest_video(data.videos_directory / video)
        for video in track(alike, len(alike), "comparing files of equal size")
    }
    places: dict[str, list[Annotation]] = defaultdict(list)
    for each in there:
        places[digests.get(each.video, each.video)].append(each)
    for group in places.values():
        if len(group) > 1:
            yield _judge_repeat(group, data=data)
    if empty:
        yield Problem("unreadable", f"{len(empty)} videos are empty: {list_some(empty)}")


def _judge_repeat(group: Sequence[Annotation], *, data: VideoData) -> Problem:
    """Say what it means that the same video stands in several places."""
    named = " and ".join(f"{each.video} ({each.split}, {data.labels[each.label_id]})" for each in group)
    if len({each.split for each in group}) > 1:
        return Problem("leak", f"the same video is in several splits: {named}")
    if len({each.label_id for each in group}) > 1:
        return Problem("contradiction", f"the same video has several labels: {named}")
    return Problem("duplicate", f"the same video is listed more than once: {named}", "warning")


def _find_undecodable(
    videos: Sequence[str], *, paths: Sequence[Path], num_workers: int, track: Track
) -> Iterator[Problem]:
    if not videos:
        return
    # spawn: threads of torch in this process must not be forked.
    with ProcessPoolExecutor(min(num_workers, len(videos)), mp_context=get_context("spawn")) as pool:
        found = track(pool.map(examine_video, paths), len(videos), "decoding videos")
        for video, problems in zip(videos, found, strict=True):
            yield from (replace(each, message=f"{video}: {each.message}") for each in problems)


def examine_video(video: Path) -> tuple[Problem, ...]:
    """Decode a video from first to last frame and say what is wrong with it, and what had to be assumed of it."""
    try:
        decoded = decode_video(video, select=_take_all, transform=_shrink)
    except (VideoError, OSError) as error:
        return (Problem("unreadable", str(error)),)
    faults = (Problem("unreadable", decoded.degraded),) if decoded.degraded else ()
    return (*faults, *(Problem("assumed", warning, "warning") for warning in decoded.info.warnings))


def _take_all(num_frames: int) -> Int64[np.ndarray, " N"]:
    return np.arange(num_frames)


def _shrink(frame: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, " 1"]:
    """Keep one byte, as only the decoding counts."""
    return frame[0, 0, :1].copy()


def _find_label_faults(data: VideoData, *, names: Sequence[str]) -> Iterator[Problem]:
    used = {each.label_id for each in data.annotations}
    if empty := [str(label) for index, label in enumerate(data.labels) if index not in used]:
        yield Problem("empty label", f"{len(empty)} labels have no video: {list_some(empty)}", "warning")
    listed = [(each.video, each.label_id) for each in data.annotations]
    for each in find_disagreements(names, listed):
        yield Problem("class order", f"{LABELS_NAME} and {ANNOTATIONS_NAME} disagree: {each}")


def _draw(videos: Sequence[str], *, number: int | None, seed: int) -> list[str]:
    if number is None or number >= len(videos):
        return list(videos)
    return sorted(np.random.default_rng(seed).choice(np.array(videos, dtype=object), number, replace=False).tolist())
