"""Training clips as a torch dataset: sampled, augmented, and the same whatever process draws them.

Where frames come from is settled in ``frames``, the order of clips in ``loader``.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Int64, UInt8
from torch.utils.data import Dataset

from service.contract.manifest import Sampling
from service.contract.sampling import local_windows
from training.config.fitting import AugmentConfig
from training.config.model import Recipe
from training.data.augment import augment_clip
from training.data.frames import FramesOnDemand, FrameSource, store_frames
from training.data.sampling import sample_random_clip
from training.data.splits import NO_OPPOSITE, mirrored_label_ids, opposite_label_ids
from training.data.training_set import TrainingSet
from training.errors import DataError


@dataclass(frozen=True)
class Draw:
    """Which video is drawn, in which epoch and at which repetition of its batch; these decide the random choices.

    ``backwards`` says whether it is played backwards.
    """

    epoch: int
    index: int
    backwards: bool = False
    repeat: int = 0

    @property
    def seeds(self) -> tuple[int, ...]:
        """What the random choices follow from, beside the seed of the run."""
        # The 0 keeps repetitions apart from the other draws of a run, which are seeded with fewer numbers.
        return (self.epoch, self.index, 0, self.repeat) if self.repeat else (self.epoch, self.index)


@dataclass(frozen=True)
class TrainingClip:
    """One augmented clip with its label: [T, S, S, 3], or [T, n, S, S, 3] where windows have n > 1 frames."""

    frames: UInt8[np.ndarray, "*frames S S 3"]
    label_id: int


class TrainingClips(Dataset[TrainingClip]):
    """Draw clips of videos; a draw's random choices follow from the seed and the draw alone."""

    def __init__(
        self,
        source: FrameSource,
        *,
        label_ids: Int64[np.ndarray, " N"],
        mirrored: Int64[np.ndarray, " L"],
        opposites: Int64[np.ndarray, " L"],
        sampling: Sampling,
        size_pixels: int,
        augment: AugmentConfig,
        seed: int,
    ) -> None:
        """Join frames with the labels of the same videos; frames are drawn at random in the numbers of ``sampling``.

        Raises:
            ValueError: the numbers of videos and labels differ.
        """
        if len(source) != len(label_ids):
            raise ValueError(f"{len(source)} videos were given with {len(label_ids)} labels; each video needs one")
        self._source = source
        self._label_ids = label_ids
        self._opposites = opposites
        self._sampling = sampling
        self._seed = seed
        self._augment = partial(augment_clip, mirrored=mirrored, size_pixels=size_pixels, config=augment)

    def __len__(self) -> int:
        """Count the videos."""
        return len(self._source)

    def __getitem__(self, draw: Draw) -> TrainingClip:
        """Sample and augment one clip; a draw and its backward twin show the same frames."""
        generator = np.random.default_rng((self._seed, *draw.seeds))
        frames = self._source.read(draw.index, select=partial(self._select, generator=generator))
        clip, label_id = self._augment(frames, label_id=int(self._label_ids[draw.index]), generator=generator)
        if draw.backwards:
            # Time runs backwards inside the windows too.
            clip, label_id = np.ascontiguousarray(clip[::-1]), int(self._opposites[label_id])
        return TrainingClip(self._split_windows(clip), label_id)

    def _select(self, num_frames: int, *, generator: np.random.Generator) -> Int64[np.ndarray, " frames"]:
        """Draw the centres and list the frames of their windows."""
        centres = sample_random_clip(num_frames, num_frames_per_clip=self._sampling.num_frames, generator=generator)
        return local_windows(centres, num_frames=num_frames, num_local_frames=self._sampling.num_local_frames).ravel()

    def _split_windows(self, clip: UInt8[np.ndarray, "frames S S 3"]) -> UInt8[np.ndarray, "*frames S S 3"]:
        if self._sampling.num_local_frames == 1:
            return clip
        return clip.reshape(self._sampling.num_frames, self._sampling.num_local_frames, *clip.shape[1:])


def open_training_clips(
    recipe: Recipe, *, training_set: TrainingSet, cache_dir: Path, num_workers: int
) -> TrainingClips:
    """Open the clips that a recipe trains on, decoding their videos first unless the recipe forbids a cache.

    Raises:
        DataError: videos that do not decode, frames beyond the recipe's limit, or a label without an opposite where
            the recipe plays clips backwards.
    """
    labels = training_set.labels
    opposites = opposite_label_ids(labels)
    if recipe.fit.reversed_twins and (opposites == NO_OPPOSITE).any():
        lacking = labels[int((opposites == NO_OPPOSITE).argmax())]
        raise DataError(f"reversed_twins is set, but {str(lacking)!r} has no label for its video played backwards")
    return TrainingClips(
        _open_frames(recipe, videos=training_set.videos, cache_dir=cache_dir, num_workers=num_workers),
        label_ids=training_set.targets,
        mirrored=mirrored_label_ids(labels),
        opposites=opposites,
        sampling=recipe.model.sampling,
        size_pixels=recipe.model.preprocessing.input_size,
        augment=recipe.augment,
        seed=recipe.fit.seed,
    )


def _open_frames(recipe: Recipe, *, videos: tuple[Path, ...], cache_dir: Path, num_workers: int) -> FrameSource:
    if not recipe.fit.frame_cache_bytes:
        return FramesOnDemand(videos, recipe.model.preprocessing)
    return store_frames(
        videos,
        directory=cache_dir,
        preprocessing=recipe.model.preprocessing,
        max_frames=recipe.fit.max_cached_frames,
        limit_bytes=recipe.fit.frame_cache_bytes,
        num_workers=num_workers,
        keep_whole=recipe.model.num_local_frames > 1,
    )
