"""Caption files for retrieval: which sentence tells of which video, in the layouts of MSR-VTT or as ``video,caption``.

Recognised are MSR-VTT's JSON (``videos`` and ``sentences``), its 1k-A table (``vid_key``, ``video_id``, ``sentence``)
and tables of ``video`` and ``caption``. What is measured with them is the work of ``evaluation.retrieval``.
"""

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64

from service.contract.labels import Language, has_han
from service.contract.texts import decode_text
from service.contract.wording import list_some
from training.errors import DataError

_VIDEO_COLUMNS, _TEXT_COLUMNS = ("video_id", "video"), ("sentence", "caption")
_SUFFIXES = (".mp4", ".avi", ".webm", ".mkv", ".mov")
# A video's name and a sentence about it.
Pair = tuple[str, str]


@dataclass(frozen=True)
class CaptionedVideos:
    """Videos with one or several captions each; ``video_ids`` says which video each caption tells of."""

    name: str
    videos: tuple[Path, ...]
    captions: tuple[str, ...]
    video_ids: Int64[np.ndarray, " C"]
    language: Language


def read_captioned_videos(file: Path, *, directory: Path, split: str | None) -> CaptionedVideos:
    """Read a caption file and find its videos in a folder, by their names with or without a suffix.

    ``split`` chooses among the videos of a JSON file; a table has no splits.

    Raises:
        DataError: the file is in no known layout or tells of no video, the split does not exist, a video is missing, or
            captions are in two languages.
    """
    pairs = [(video.strip(), text.strip()) for video, text in read_pairs(file, split=split)]
    if not pairs or not all(video and text for video, text in pairs):
        raise DataError(f"{file} has {len(pairs)} captions, some without a video or a text; give each both")
    names = list(dict.fromkeys(video for video, _ in pairs))
    index_of = {name: index for index, name in enumerate(names)}
    captions = tuple(text for _, text in pairs)
    return CaptionedVideos(
        name=file.stem,
        videos=_find_videos(names, directory=directory),
        captions=captions,
        video_ids=np.array([index_of[video] for video, _ in pairs], dtype=np.int64),
        language=_find_language(captions, file=file),
    )


def read_pairs(file: Path, *, split: str | None) -> Iterator[Pair]:
    """Read pairs of a video's name and a sentence about it.

    Raises:
        DataError: the file is in no known layout, or the split does not exist.
    """
    try:
        text = decode_text(file.read_bytes(), name=file.name)
        if file.suffix == ".json":
            return _read_json(json.loads(text), file=file, split=split)
    except (OSError, ValueError) as error:
        raise DataError(f"{file} cannot be read: {error}") from error
    if split is not None:
        raise DataError(f"split is {split!r}, but {file} is a table, which has no splits; leave it out")
    return _read_table(StringIO(text, newline=""), file=file)


def _read_table(lines: Iterable[str], *, file: Path) -> Iterator[Pair]:
    table = csv.DictReader(lines)
    columns = table.fieldnames or []
    video, text = (next((name for name in names if name in columns), None) for names in (_VIDEO_COLUMNS, _TEXT_COLUMNS))
    if video is None or text is None:
        raise DataError(
            f"{file} has the columns {', '.join(columns)}; it needs one of {', '.join(_VIDEO_COLUMNS)} and one of "
            f"{', '.join(_TEXT_COLUMNS)}"
        )
    return ((row[video] or "", row[text] or "") for row in table)


def _read_json(values: Any, *, file: Path, split: str | None) -> Iterator[Pair]:  # noqa: ANN401
    try:
        splits = {each["video_id"]: each.get("split") for each in values["videos"]}
        pairs = [(each["video_id"], each["caption"]) for each in values["sentences"]]
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{file} is not in MSR-VTT's layout of videos and sentences: {error!r}") from error
    known = sorted({each for each in splits.values() if each is not None})
    if split is not None and split not in known:
        raise DataError(f"split is {split!r}, but {file} has {', '.join(known) or 'none'}; choose one of these")
    return ((video, text) for video, text in pairs if split is None or splits.get(video) == split)


def _find_videos(names: Sequence[str], *, directory: Path) -> tuple[Path, ...]:
    found = [find_video(name, directory=directory) for name in names]
    if missing := [name for name, path in zip(names, found, strict=True) if path is None]:
        raise DataError(
            f"{len(missing)} of {len(names)} videos are missing in {directory}: {list_some(missing)}; "
            f"names may end in {', '.join(_SUFFIXES)}"
        )
    return tuple(path for path in found if path is not None)


def find_video(name: str, *, directory: Path) -> Path | None:
    """Find a video in a folder by its name with or without a suffix; None where it is not there."""
    candidates = (directory / f"{name}{suffix}" for suffix in ("", *_SUFFIXES))
    inside = (path for path in candidates if path.is_file() and path.resolve().is_relative_to(directory.resolve()))
    return next(inside, None)


def _find_language(captions: Sequence[str], *, file: Path) -> Language:
    chinese = [text for text in captions if has_han(text)]
    if chinese and len(chinese) < len(captions):
        english = next(text for text in captions if not has_han(text))
        raise DataError(
            f"{file} has captions in two languages, such as {english!r} and {chinese[0]!r}; give a file for each"
        )
    return "zh" if chinese else "en"
