"""Training frames: decoded once into a memory-mapped file, or anew for every clip.

Frames are resized by the model's rule and not cropped, so that augmentation can choose the crop. Nothing here imports
torch: decoding processes start fast and stay small.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Int, Int64, UInt8
from PIL import Image
from rich.progress import track

from service.contract.decode import DECODE_RULE
from service.contract.errors import VideoError
from service.contract.files import write_whole
from service.contract.manifest import Preprocessing
from service.contract.preprocess import RESAMPLING, resized_shape
from service.contract.sampling import sample_clips
from training.data.frame_folders import FrameFolder, decode_video, open_frame_folder
from training.data.reading import BrokenVideosError, read_each
from training.errors import DataError

Select = Callable[[int], Int[np.ndarray, " N"]]
Frames = UInt8[np.ndarray, "N H W 3"]


@dataclass(frozen=True)
class FramesOnDemand:
    """Decode the chosen frames of a video whenever they are asked for.

    The pictures of a folder are listed when it is first read, and not again for every clip.
    """

    videos: tuple[Path, ...]
    preprocessing: Preprocessing
    folders: dict[int, FrameFolder] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.videos)

    def read(self, index: int, *, select: Select) -> Frames:
        """Decode the chosen frames.

        Raises:
            DataError: the video does not decode; it is named.
        """
        video = self.videos[index]
        try:
            if index not in self.folders and video.is_dir():
                self.folders[index] = open_frame_folder(video)
            if folder := self.folders.get(index):
                return folder.decode(select=select, transform=partial(_resize, preprocessing=self.preprocessing)).frames
            return _decode(video, select=select, preprocessing=self.preprocessing)
        except VideoError as error:
            raise DataError(f"{video}: {error}") from error


@dataclass(frozen=True)
class StoredFrames:
    """Frames of all videos in one memory-mapped file, which processes share through the page cache.

    ``shapes`` holds the number of frames, height and width of each video, ``offsets`` where its first byte lies.
    """

    pixels: UInt8[np.ndarray, " bytes"]
    shapes: Int64[np.ndarray, "videos 3"]
    offsets: Int64[np.ndarray, " videos"]

    def __len__(self) -> int:
        return len(self.shapes)

    def read(self, index: int, *, select: Select) -> Frames:
        """Copy the chosen frames out of the file."""
        num_frames, height, width = self.shapes[index].tolist()
        start = int(self.offsets[index])
        stored = self.pixels[start : start + num_frames * height * width * 3]
        return np.asarray(stored.reshape(num_frames, height, width, 3)[select(num_frames)])


FrameSource = FramesOnDemand | StoredFrames


def store_frames(
    videos: Sequence[Path],
    *,
    directory: Path,
    preprocessing: Preprocessing,
    max_frames: int,
    limit_bytes: int,
    num_workers: int,
    keep_whole: bool = False,
) -> StoredFrames:
    """Decode videos with several processes into a file of ``directory``, or open the file that an earlier call wrote.

    Of a longer video ``max_frames`` evenly spread frames are kept; with ``keep_whole``, which windows of consecutive
    frames need, it is refused.

    Raises:
        DataError: the frames take more than ``limit_bytes``, a video is too long to be kept whole, or videos do not
            decode; those are named.
    """
    name = _key(videos, preprocessing=preprocessing, max_frames=max_frames, keep_whole=keep_whole)
    index_path, pixels_path = directory / f"{name}.npy", directory / f"{name}.frames"
    if not index_path.is_file():
        directory.mkdir(parents=True, exist_ok=True)
        read = partial(_read_evenly, preprocessing=preprocessing, max_frames=max_frames, keep_whole=keep_whole)
        decoded = read_each(videos, read=read, num_workers=num_workers)
        followed = track(decoded, total=len(videos), description="decoding training videos")
        shapes = _write_frames(followed, path=pixels_path, limit_bytes=limit_bytes)
        # Written last: without the index the pixels do not count.
        with write_whole(index_path) as unfinished:
            np.save(unfinished, shapes)
    shapes = np.load(index_path)
    sizes = shapes.prod(axis=1) * 3
    return StoredFrames(np.memmap(pixels_path, dtype=np.uint8, mode="r"), shapes, np.cumsum(sizes) - sizes)


def _write_frames(decoded: Iterable[Frames | str], *, path: Path, limit_bytes: int) -> Int64[np.ndarray, "videos 3"]:
    """Append the frames of each video to a file; returns their shapes."""
    shapes: list[tuple[int, ...]] = []
    problems: list[str] = []
    with write_whole(path) as unfinished, unfinished.open("wb") as file:
        for frames in decoded:
            if isinstance(frames, str):
                problems.append(frames)
                continue
            file.write(frames.tobytes())
            shapes.append(frames.shape[:3])
            if file.tell() > limit_bytes:
                raise DataError(
                    f"the frames of the first {len(shapes)} videos take {file.tell()} bytes; frame_cache_bytes is "
                    f"{limit_bytes}: raise it, lower max_cached_frames, or set it to 0 to decode every clip anew"
                )
        if problems:
            raise BrokenVideosError(problems)
    return np.array(shapes, dtype=np.int64)


def _read_evenly(video: Path, *, preprocessing: Preprocessing, max_frames: int, keep_whole: bool) -> Frames:
    select = (
        partial(_take_all, video=video, max_frames=max_frames)
        if keep_whole
        else partial(_spread, max_frames=max_frames)
    )
    return _decode(video, select=select, preprocessing=preprocessing)


def _take_all(num_frames: int, *, video: Path, max_frames: int) -> Int64[np.ndarray, " N"]:
    if num_frames > max_frames:
        raise DataError(
            f"{video} has {num_frames} frames and max_cached_frames is {max_frames}; windows of consecutive frames "
            "need whole videos: raise max_cached_frames, or set frame_cache_bytes to 0 to decode every clip anew"
        )
    return np.arange(num_frames)


def _spread(num_frames: int, *, max_frames: int) -> Int64[np.ndarray, " N"]:
    if num_frames <= max_frames:
        return np.arange(num_frames)
    return sample_clips(num_frames, num_frames_per_clip=max_frames, num_clips=1)[0]


def _decode(video: Path, *, select: Select, preprocessing: Preprocessing) -> Frames:
    return decode_video(video, select=select, transform=partial(_resize, preprocessing=preprocessing)).frames


def _resize(frame: UInt8[np.ndarray, "H W 3"], *, preprocessing: Preprocessing) -> UInt8[np.ndarray, "h w 3"]:
    height, width = resized_shape(frame.shape[0], frame.shape[1], preprocessing=preprocessing)
    image = Image.fromarray(frame).resize((width, height), resample=RESAMPLING[preprocessing.interpolation])
    return np.asarray(image)


def _key(videos: Sequence[Path], *, preprocessing: Preprocessing, max_frames: int, keep_whole: bool) -> str:
    """Name the file after all that decides its content."""
    files = [(str(video), video.stat().st_size, video.stat().st_mtime_ns) for video in videos]
    settings: list[object] = [DECODE_RULE, files, preprocessing.model_dump(mode="json"), max_frames]
    if keep_whole:
        settings.append("whole")
    text = json.dumps(settings)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
