"""Batches of training clips in an order that follows from seed and step alone, so that a run can resume exactly."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor
from torch.utils.data import DataLoader, Sampler

from training.data.dataset import Draw, TrainingClip, TrainingClips
from training.errors import DataError


@dataclass(frozen=True)
class ClipBatch:
    """Clips and their labels; ``frames`` are upright RGB at the model's input size, as in ``TrainingClip``."""

    frames: UInt8[Tensor, "B *frames S S 3"]
    label_ids: Int64[Tensor, " B"]

    def to(self, device: torch.device) -> "ClipBatch":
        """Copy to a device."""
        return ClipBatch(self.frames.to(device), self.label_ids.to(device))


@dataclass(frozen=True, kw_only=True)
class BatchPlan:
    """The order of a run: every epoch is a new permutation, cut into whole batches.

    ``batch_size`` counts the clips of all processes together; process ``rank`` of ``num_processes`` takes every
    ``num_processes``-th clip of each batch. With ``reversed_twins`` a batch holds half as many videos, each of them
    forwards and backwards. With ``repeated_augmentation`` R each video is drawn R times for the same batch, which holds
    so many fewer videos (Hoffer et al. 2020); an epoch then has R times as many steps.
    """

    num_videos: int
    batch_size: int
    num_epochs: int
    seed: int
    reversed_twins: bool = False
    repeated_augmentation: int = 1
    rank: int = 0
    num_processes: int = 1

    def __post_init__(self) -> None:
        """Check that there is a whole batch and that processes share it evenly.

        Raises:
            DataError: fewer videos than a batch, or a batch that the processes, the twins or the repetitions of a video
                cannot share.
        """
        if self.num_videos < self.videos_per_step:
            raise DataError(
                f"there are {self.num_videos} videos to train on and batch_size is {self.batch_size}; lower batch_size"
            )
        if self.reversed_twins and self.batch_size % 2:
            raise DataError(f"batch_size is {self.batch_size}; with reversed_twins it must be even")
        if self.batch_size % self._clips_per_video:
            raise DataError(
                f"batch_size is {self.batch_size}; with repeated_augmentation {self.repeated_augmentation} it must be "
                f"a multiple of {self._clips_per_video}"
            )
        if self.batch_size % self.num_processes:
            raise DataError(
                f"batch_size is {self.batch_size}, which {self.num_processes} processes cannot share; use a multiple"
            )

    @property
    def videos_per_step(self) -> int:
        """Distinct videos in a batch."""
        return self.batch_size // self._clips_per_video

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in an epoch; the clips left over return in other epochs."""
        return self.num_videos // self.videos_per_step

    @property
    def num_steps(self) -> int:
        """Batches in the run."""
        return self.steps_per_epoch * self.num_epochs

    def draws(self, step: int) -> list[Draw]:
        """List this process's clips of one step, counted from 0."""
        epoch, position = divmod(step, self.steps_per_epoch)
        order = np.random.default_rng((self.seed, epoch)).permutation(self.num_videos)
        videos = order[position * self.videos_per_step : (position + 1) * self.videos_per_step].tolist()
        directions = (False, True) if self.reversed_twins else (False,)
        batch = [
            Draw(epoch, index, backwards, repeat)
            for index in videos
            for repeat in range(self.repeated_augmentation)
            for backwards in directions
        ]
        return batch[self.rank :: self.num_processes]

    @property
    def _clips_per_video(self) -> int:
        return self.repeated_augmentation * (2 if self.reversed_twins else 1)


class _Steps(Sampler[list[Draw]]):
    """The draws of every step from the first one left to do."""

    def __init__(self, plan: BatchPlan, *, first_step: int) -> None:
        self._plan = plan
        self._first_step = first_step

    def __iter__(self) -> Iterator[list[Draw]]:
        return (self._plan.draws(step) for step in range(self._first_step, self._plan.num_steps))

    def __len__(self) -> int:
        return self._plan.num_steps - self._first_step


def build_loader(
    clips: TrainingClips, *, plan: BatchPlan, first_step: int, num_workers: int
) -> "DataLoader[ClipBatch]":
    """Build a loader of the batches from ``first_step`` to the end of the run; 0 workers load in this process."""
    # torch's stubs take a loader to yield what its dataset holds, whatever the collate function makes of it.
    loader: DataLoader[Any] = DataLoader(
        clips,
        batch_sampler=_Steps(plan, first_step=first_step),
        num_workers=num_workers,
        collate_fn=_collate,
        pin_memory=torch.cuda.is_available(),
    )
    return loader


def _collate(clips: Sequence[TrainingClip]) -> ClipBatch:
    frames = torch.from_numpy(np.stack([clip.frames for clip in clips]))
    return ClipBatch(frames, torch.tensor([clip.label_id for clip in clips]))
