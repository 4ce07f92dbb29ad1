"""Where the listed videos of a data set lie: lists name them in one way, and archives unpack them in another.

A video is found under its listed path, or anywhere in the folder by its file name, whatever its case and suffix.
"""

import os
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from training.data.annotations import Annotation
from training.data.class_order import name_key
from training.data.datasets.listing import Listing
from training.errors import DataError

VIDEO_SUFFIXES = (".mp4", ".avi", ".webm", ".mkv", ".mov", ".m4v", ".mpg", ".mpeg", ".flv", ".wmv")


def find_videos(listing: Listing, *, directory: Path) -> tuple[tuple[Annotation, ...], tuple[Annotation, ...]]:
    """Find the listed videos in a folder; returns those that are there, with their paths in it, and the missing ones.

    Raises:
        DataError: a name stands for several files, and neither class nor split tells the right one; they are named.
    """
    directly = [_find_directly(each, listing, directory) for each in listing.videos]
    # Listing what lies in a folder takes long where there are folders of pictures.
    needs_names = None in directly and not listing.frame_folders
    by_name = _list_by_name(directory) if needs_names else {}
    found, missing = [], []
    for each, own in zip(listing.videos, directly, strict=True):
        path = own or _find_by_name(each, classes=listing.classes, by_name=by_name)
        if path is None:
            missing.append(each)
        else:
            found.append(replace(each, video=path))
    return tuple(found), tuple(missing)


def list_videos(directory: Path) -> list[str]:
    """List the video files below a folder, as paths relative to it, in alphabetical order."""
    return sorted(
        (Path(parent) / name).relative_to(directory).as_posix()
        for parent, _, names in os.walk(directory, followlinks=True)
        for name in names
        if PurePosixPath(name).suffix.lower() in VIDEO_SUFFIXES
    )


def stem_key(video: str) -> str:
    """The form under which two paths name the same file: its name without a video's suffix, folded."""
    name = PurePosixPath(video).name
    if PurePosixPath(name).suffix.lower() in VIDEO_SUFFIXES:
        name = PurePosixPath(name).stem
    return unicodedata.normalize("NFC", name).casefold()


def _find_directly(each: Annotation, listing: Listing, directory: Path) -> str | None:
    place = PurePosixPath(each.video)
    # Such a path may lead out of the folder; its file may still be found by its name.
    if place.is_absolute() or ".." in place.parts:
        return None
    exists = Path.is_dir if listing.frame_folders else Path.is_file
    candidates = (each.video, f"{each.split}/{each.video}")
    return next((path for path in candidates if exists(directory / path)), None)


def _list_by_name(directory: Path) -> dict[str, list[str]]:
    by_name: dict[str, list[str]] = defaultdict(list)
    for path in list_videos(directory):
        by_name[stem_key(path)].append(path)
    return by_name


def _find_by_name(each: Annotation, *, classes: Sequence[str], by_name: Mapping[str, Sequence[str]]) -> str | None:
    paths: Sequence[str] = by_name.get(stem_key(each.video), ())
    class_key = name_key(classes[each.label_id])
    suffix = PurePosixPath(each.video).suffix.lower()
    for fits in (
        lambda path: class_key in map(name_key, PurePosixPath(path).parts[:-1]),
        lambda path: each.split in PurePosixPath(path).parts[:-1],
        lambda path: PurePosixPath(path).suffix.lower() == suffix,
    ):
        paths = _narrow(paths, fits=fits)
    if len(paths) > 1:
        raise DataError(
            f"{each.video} of the lists may be {' or '.join(paths)}; keep the right one in the videos' folder"
        )
    return paths[0] if paths else None


def _narrow(paths: Sequence[str], *, fits: Callable[[str], bool]) -> Sequence[str]:
    """Keep the paths that fit, if there are any."""
    fitting: Iterable[str] = filter(fits, paths) if len(paths) > 1 else paths
    return list(fitting) or paths
