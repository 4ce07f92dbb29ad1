"""Videos that come as folders of numbered pictures, ``00001.jpg`` on, as those of Something-Something v1.

They are read by the calls that read video files: frames counted from 0, transformed one by one. A picture that does not
decode is an error that names it, and never replaced by another.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from service.contract.decode import (
    DecodedFrames,
    DecodeLimits,
    Select,
    Transform,
    VideoInfo,
    VideoSource,
    decode_frames,
)
from service.contract.errors import UndecodableVideoError
from service.contract.manifest import file_digest
from service.contract.wording import list_some

PICTURE_SUFFIXES = (".jpg", ".jpeg")
# Pictures carry no clock; those of Something-Something v1 were taken 12 times a second.
FRAME_RATE = 12.0
_NUMBERED = re.compile(r".*?([0-9]+)")


@dataclass(frozen=True)
class FrameFolder:
    """The pictures of a folder in the order of their numbers, listed once."""

    directory: Path
    names: tuple[str, ...]

    def decode(self, *, select: Select, transform: Transform) -> DecodedFrames:
        """Decode the pictures that ``select`` chooses from their number, each distinct one once.

        Raises:
            UndecodableVideoError: a chosen picture does not decode; it is named.
        """
        indices = select(len(self.names))
        pictures: dict[int, UInt8[np.ndarray, ...]] = {}
        size = (0, 0)
        for index in np.unique(indices).tolist():
            picture = _read_picture(self.directory / self.names[index])
            size = (picture.shape[1], picture.shape[0])
            pictures[index] = transform(picture)
        num_frames = len(self.names)
        info = VideoInfo(num_frames / FRAME_RATE, num_frames, *size, "mjpeg", FRAME_RATE, 0)
        frames = np.stack([pictures[index] for index in indices.tolist()])
        return DecodedFrames(frames, indices.astype(np.int64), indices / FRAME_RATE, info, None)


def open_frame_folder(directory: Path) -> FrameFolder:
    """List the JPEG pictures of a folder by the numbers that end their names, as numbers; other files do not count.

    Raises:
        UndecodableVideoError: no picture, a name without a number, two with the same number, or a gap; these are named.
    """
    names = sorted(path.name for path in directory.iterdir() if path.suffix.lower() in PICTURE_SUFFIXES)
    name_of: dict[int, str] = {}
    for name in names:
        match = _NUMBERED.fullmatch(Path(name).stem)
        if match is None:
            raise UndecodableVideoError(
                f"{name} has no number at its end; name pictures 00001.jpg, 00002.jpg and so on"
            )
        if other := name_of.get(int(match[1])):
            raise UndecodableVideoError(f"{other} and {name} have the same number; remove one")
        name_of[int(match[1])] = name
    if not names:
        raise UndecodableVideoError("the folder holds no JPEG picture; it must hold 00001.jpg, 00002.jpg and so on")
    first, last = min(name_of), max(name_of)
    if gaps := [str(number) for number in range(first, last) if number not in name_of]:
        raise UndecodableVideoError(
            f"{len(gaps)} pictures between {name_of[first]} and {name_of[last]} are missing: {list_some(gaps)}; "
            "restore them"
        )
    return FrameFolder(directory, tuple(name_of[number] for number in range(first, last + 1)))


def decode_video(
    source: VideoSource, *, select: Select, transform: Transform, limits: DecodeLimits | None = None
) -> DecodedFrames:
    """Decode a video file, or a folder of pictures in its place.

    Raises:
        VideoError: see ``decode_frames`` and ``open_frame_folder``.
    """
    if isinstance(source, Path) and source.is_dir():
        return open_frame_folder(source).decode(select=select, transform=transform)
    return decode_frames(source, select=select, transform=transform, limits=limits)


def digest_video(video: Path) -> str:
    """Digest a video's content: SHA-256 of a file, or of the names and bytes of a folder's files."""
    if not video.is_dir():
        return file_digest(video)
    digest = hashlib.sha256()
    for path in sorted(_files(video)):
        digest.update(f"{path.name}\0{file_digest(path)}\n".encode())
    return digest.hexdigest()


def size_bytes(video: Path) -> int:
    """Count the bytes of a video file, or of a folder's files."""
    if not video.is_dir():
        return video.stat().st_size
    return sum(path.stat().st_size for path in _files(video))


def _files(directory: Path) -> Iterator[Path]:
    return (path for path in directory.iterdir() if path.is_file())


def _read_picture(path: Path) -> UInt8[np.ndarray, "H W 3"]:
    try:
        with Image.open(path, formats=["JPEG"]) as picture:
            return np.asarray(picture.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UndecodableVideoError(f"{path.name} does not decode ({error}); restore the picture") from error
