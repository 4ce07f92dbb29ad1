"""The videos of a study that are shown one by one, decoded and cut as they were for its scores."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from service.contract.scoring import Scores
from service.contract.views import ViewPlan
from training.data.views import read_all_views
from training.evaluation.figures.study import Study
from training.evaluation.figures.style import label_name


@dataclass(frozen=True, kw_only=True)
class ShownVideo:
    """One video: the clip that the model sees, its true label and the one recognised, by name, and its scores."""

    video: str
    label_id: int
    true_label: str
    recognised_as: str
    clip: UInt8[np.ndarray, "T *n S S 3"]
    scores: Scores

    @property
    def frames(self) -> UInt8[np.ndarray, "T S S 3"]:
        """The frames of the clip, each the centre of its segment where segments have several."""
        num_local_frames = self.clip.shape[1:-3]
        return self.clip[:, num_local_frames[0] // 2] if num_local_frames else self.clip


def read_shown_videos(study: Study) -> list[ShownVideo]:
    """Read the first video of each of the first labels of the split.

    Raises:
        DataError: a video does not decode.
    """
    embedded = study.scored.embedded
    _, first = np.unique(embedded.label_ids, return_index=True)
    rows = sorted(first.tolist())[: study.settings.num_videos]
    videos = [study.data.videos_directory / embedded.videos[row] for row in rows]
    config = study.model.config
    views = read_all_views(
        videos,
        preprocessing=config.preprocessing,
        sampling=config.sampling,
        plan=ViewPlan(),
        num_workers=min(study.settings.num_workers, len(videos)),
    )
    return [_describe(study, row=row, clip=own[0]) for row, own in zip(rows, views, strict=True)]


def _describe(study: Study, *, row: int, clip: UInt8[np.ndarray, "T *n S S 3"]) -> ShownVideo:
    embedded, labels = study.scored.embedded, study.scored.labels
    scores, label_id = study.scored.scores.per_video[row], int(embedded.label_ids[row])
    return ShownVideo(
        video=embedded.videos[row],
        label_id=label_id,
        true_label=label_name(labels, label_id),
        recognised_as=label_name(labels, int(scores.ranking[0])),
        clip=clip,
        scores=scores,
    )
