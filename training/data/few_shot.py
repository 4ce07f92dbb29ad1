"""Few shots: K drawn videos of each label of a split."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from service.contract.labels import Label
from service.contract.wording import list_some
from training.data.annotations import Annotation
from training.errors import DataError


def draw_shots(
    annotations: Sequence[Annotation], *, labels: Sequence[Label], num_shots: int, seed: int
) -> tuple[Annotation, ...]:
    """Draw ``num_shots`` videos of every label that has any, in the order of the table.

    The draw of a label depends on the seed and on that label's videos alone, and a smaller draw is part of a larger
    one of the same seed. A label without a single video is one to be recognised unseen, so it takes no part.

    Raises:
        DataError: a label has some videos, but fewer than ``num_shots``; it is named with their number.
    """
    videos_of: dict[int, list[int]] = defaultdict(list)
    for index, each in enumerate(annotations):
        videos_of[each.label_id].append(index)
    if few := [f"{labels[label]} has {len(own)}" for label, own in sorted(videos_of.items()) if len(own) < num_shots]:
        raise DataError(
            f"num_shots is {num_shots}, but {len(few)} of {len(videos_of)} labels have fewer videos in split "
            f"{annotations[0].split!r}: {list_some(few)}; lower num_shots, or add videos"
        )
    chosen = [index for label, own in videos_of.items() for index in _permute(own, seed=seed, label=label)[:num_shots]]
    return tuple(annotations[index] for index in sorted(chosen))


def _permute(videos: Sequence[int], *, seed: int, label: int) -> list[int]:
    generator = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(label,)))
    return generator.permutation(videos).tolist()
