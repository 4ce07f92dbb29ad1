"""Where the listed videos of a data set lie: lists name them in one way, and archives unpack them in another.

A video is found under its listed path, or anywhere in the folder by its file name, whatever its case and suffix. A path
of another machine, absolute or of Windows, is found by what of its end lies in the folder.
"""

import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from training.data.annotations import Annotation
from training.data.class_order import name_key
from training.data.datasets.listing import Listing
from training.errors import DataError

# Endings of the containers that ``service.contract.containers`` accepts.
VIDEO_SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2", ".f4v"),
    *(".mkv", ".webm", ".avi", ".flv", ".gif", ".ogv", ".ogg", ".wmv", ".asf"),
    *(".ts", ".mts", ".m2ts", ".m2t", ".mpg", ".mpeg", ".mpe", ".vob"),
)
_SEPARATORS = re.compile(r"[/\\]")
_DRIVE = re.compile(r"[A-Za-z]:[/\\]")
# What macOS adds to archives: attributes of each file, in a file or in a folder of its own.
_MACOS_FOLDER, _MACOS_PREFIX = "__MACOSX", "._"


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


@dataclass(frozen=True)
class Found:
    """The video files of a folder in alphabetical order, and how many other files were left out for which reason."""

    videos: tuple[str, ...]
    left_out: Mapping[str, int]


def list_videos(directory: Path) -> Found:
    """List the files below a folder that end like videos, as paths relative to it; hidden ones do not count."""
    videos: list[str] = []
    left_out: Counter[str] = Counter()
    for parent, _, names in os.walk(directory, followlinks=True):
        for name in names:
            path = (Path(parent) / name).relative_to(directory).as_posix()
            if reason := _find_reason(path):
                left_out[reason] += 1
            else:
                videos.append(path)
    return Found(tuple(sorted(videos)), dict(sorted(left_out.items())))


def _find_reason(path: str) -> str | None:
    """Say why a file is no video of a data set; None for one that is."""
    parts = PurePosixPath(path).parts
    if _MACOS_FOLDER in parts or parts[-1].startswith(_MACOS_PREFIX):
        return "added by macOS"
    if any(part.startswith(".") for part in parts):
        return "hidden"
    suffix = PurePosixPath(path).suffix.lower()
    return None if suffix in VIDEO_SUFFIXES else f"no video by its ending ({suffix or 'none'})"


def stem_key(video: str) -> str:
    """The form under which two paths name the same file: its name without a video's suffix, folded."""
    name = _SEPARATORS.split(video)[-1]
    if PurePosixPath(name).suffix.lower() in VIDEO_SUFFIXES:
        name = PurePosixPath(name).stem
    return unicodedata.normalize("NFC", name).casefold()


def _find_directly(each: Annotation, listing: Listing, directory: Path) -> str | None:
    exists = Path.is_dir if listing.frame_folders else Path.is_file
    # A file's own name may stand for several files; what its class and split say of them is weighed elsewhere.
    tails = _tails(each.video, fewest_parts=1 if listing.frame_folders else 2)
    candidates = (path for tail in tails for path in (tail, f"{each.split}/{tail}"))
    return next((path for path in candidates if exists(directory / path)), None)


def _tails(listed: str, *, fewest_parts: int) -> Iterator[str]:
    """Yield a path inside the folder, or the ends, longest first, of one that is absolute or leads out of it."""
    path = PurePosixPath(listed.replace("\\", "/"))
    if not path.is_absolute() and not _DRIVE.match(listed) and ".." not in path.parts:
        yield str(path)
        return
    for start in range(1, len(path.parts) - fewest_parts + 1):
        if ".." not in path.parts[start:]:
            yield "/".join(path.parts[start:])


def _list_by_name(directory: Path) -> dict[str, list[str]]:
    by_name: dict[str, list[str]] = defaultdict(list)
    for path in list_videos(directory).videos:
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
