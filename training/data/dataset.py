"""Training clips as a torch dataset: sampled, augmented, and the same whatever process draws them.

Where frames come from is settled in ``frames``, the order of clips in ``loader``.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Int64, UInt8
from torch.utils.data import Dataset

from training.config import AugmentConfig, Recipe
from training.data.annotations import VideoData
from training.data.augment import augment_clip
from training.data.few_shot import learned_label_ids, select_training_videos
from training.data.frames import DecodedFrames, FrameSource, store_frames
from training.data.sampling import sample_random_clip
from training.data.splits import NO_OPPOSITE, mirrored_label_ids, opposite_label_ids
from training.errors import DataError


@dataclass(frozen=True)
class Draw:
    """Which video is drawn in which epoch, which decide the random choices, and whether it is played backwards."""

    epoch: int
    index: int
    backwards: bool = False


@dataclass(frozen=True)
class TrainingClip:
    """One augmented clip with its label."""

    frames: UInt8[np.ndarray, "T S S 3"]
    label_id: int


class TrainingClips(Dataset[TrainingClip]):
    """Draw clips of videos; a draw's random choices follow from the seed, the epoch and the video alone."""

    def __init__(
        self,
        source: FrameSource,
        *,
        label_ids: Int64[np.ndarray, " N"],
        mirrored: Int64[np.ndarray, " L"],
        opposites: Int64[np.ndarray, " L"],
        num_frames: int,
        size_pixels: int,
        augment: AugmentConfig,
        seed: int,
    ) -> None:
        """Join frames with the labels of the same videos.

        Raises:
            ValueError: the numbers of videos and labels differ.
        """
        if len(source) != len(label_ids):
            raise ValueError(f"{len(source)} videos were given with {len(label_ids)} labels; each video needs one")
        self._source = source
        self._label_ids = label_ids
        self._opposites = opposites
        self._num_frames = num_frames
        self._seed = seed
        self._augment = partial(augment_clip, mirrored=mirrored, size_pixels=size_pixels, config=augment)

    def __len__(self) -> int:
        """Count the videos."""
        return len(self._source)

    def __getitem__(self, draw: Draw) -> TrainingClip:
        """Sample and augment one clip; a draw and its backward twin show the same frames."""
        generator = np.random.default_rng((self._seed, draw.epoch, draw.index))
        select = partial(sample_random_clip, num_frames_per_clip=self._num_frames, generator=generator)
        frames = self._source.read(draw.index, select=select)
        clip, label_id = self._augment(frames, label_id=int(self._label_ids[draw.index]), generator=generator)
        if draw.backwards:
            return TrainingClip(np.ascontiguousarray(clip[::-1]), int(self._opposites[label_id]))
        return TrainingClip(clip, label_id)


def open_training_clips(recipe: Recipe, *, data: VideoData, cache_dir: Path, num_workers: int) -> TrainingClips:
    """Open the clips that a recipe trains on, decoding their videos first unless the recipe forbids a cache.

    Labels are numbered among those that the recipe learns.

    Raises:
        DataError: no such split, too few videos of a label, videos that do not decode, frames beyond the recipe's
            limit, or a label without an opposite where the recipe plays clips backwards.
    """
    annotations = select_training_videos(recipe, data=data)
    learned = learned_label_ids(recipe, data=data)
    labels = [data.labels[each] for each in learned]
    opposites = opposite_label_ids(labels)
    if recipe.fit.reversed_twins and (opposites == NO_OPPOSITE).any():
        lacking = labels[int((opposites == NO_OPPOSITE).argmax())]
        raise DataError(f"reversed_twins is set, but {str(lacking)!r} has no label for its video played backwards")
    videos = tuple(map(data.path_of, annotations))
    return TrainingClips(
        _open_frames(recipe, videos=videos, cache_dir=cache_dir, num_workers=num_workers),
        label_ids=np.searchsorted(learned, [each.label_id for each in annotations]),
        mirrored=mirrored_label_ids(labels),
        opposites=opposites,
        num_frames=recipe.model.num_frames,
        size_pixels=recipe.model.preprocessing.input_size,
        augment=recipe.augment,
        seed=recipe.fit.seed,
    )


def _open_frames(recipe: Recipe, *, videos: tuple[Path, ...], cache_dir: Path, num_workers: int) -> FrameSource:
    if not recipe.fit.frame_cache_bytes:
        return DecodedFrames(videos, recipe.model.preprocessing)
    return store_frames(
        videos,
        directory=cache_dir,
        preprocessing=recipe.model.preprocessing,
        max_frames=recipe.fit.max_cached_frames,
        limit_bytes=recipe.fit.frame_cache_bytes,
        num_workers=num_workers,
    )
