"""Embedding the videos of a split and the labels of a data set; videos are decoded and cut exactly as in the service.

Frame features are cached by the content of the videos and of the video tower's weights. Several processes share the
videos of a split: each decodes and encodes its own, and all read the features of all from the cache.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32, Int64
from rich.progress import track

from service.contract.files import write_whole
from service.contract.labels import Label
from service.contract.scoring import LabelBank
from service.contract.views import ViewPlan
from training.data.annotations import VideoData
from training.data.frame_folders import digest_video
from training.data.reading import BrokenVideosError
from training.data.splits import select_split
from training.data.views import read_all_views
from training.models.label_bank import embed_labels, require_texts
from training.models.video_clip import VideoCLIP
from training.processes.ranks import Team, interleave

_ALONE = Team()


@dataclass(frozen=True)
class EmbeddedSplit:
    """Frame features of a split's videos, or their logits, with labels; ``videos`` are relative to the data folder."""

    videos: tuple[str, ...]
    label_ids: Int64[np.ndarray, " N"]
    features: Float32[np.ndarray, "N V K D"]


def embed_split(
    model: VideoCLIP,
    *,
    data: VideoData,
    split: str,
    plan: ViewPlan,
    cache_dir: Path,
    num_workers: int,
    team: Team = _ALONE,
) -> EmbeddedSplit:
    """Encode all videos of a split, or read their features from the cache.

    All processes of a team call this alike, and see the same ``cache_dir``.

    Raises:
        DataError: no such split, or videos that do not decode; those are named.
    """
    annotations = select_split(data, split)
    videos = [data.path_of(each) for each in annotations]
    features = embed_videos(model, videos=videos, plan=plan, cache_dir=cache_dir, num_workers=num_workers, team=team)
    label_ids = np.array([each.label_id for each in annotations])
    return EmbeddedSplit(tuple(each.video for each in annotations), label_ids, features)


def embed_videos(
    model: VideoCLIP,
    *,
    videos: Sequence[Path],
    plan: ViewPlan,
    cache_dir: Path,
    num_workers: int,
    team: Team = _ALONE,
) -> Float32[np.ndarray, "N V K D"]:
    """Encode videos, or read their features from the cache.

    Raises:
        DataError: videos do not decode; they are named, those of other processes of the team too.
    """
    digests = interleave(team.gather([digest_video(video) for video in team.take(videos)]))
    path = cache_dir / f"{_key(model, digests=digests, plan=plan)}.npy"
    # The main process decides, as a file may appear between two looks.
    if not team.hear(path.is_file()):
        cache_dir.mkdir(parents=True, exist_ok=True)
        problems: tuple[str, ...] = ()
        try:
            _write_share(
                _share_path(path, team.rank),
                model,
                videos=team.take(videos),
                plan=plan,
                num_workers=num_workers,
                team=team,
            )
        except BrokenVideosError as error:
            problems = error.problems
        if broken := [problem for share in team.gather(problems) for problem in share]:
            raise BrokenVideosError(broken)
        if team.is_main:
            _join_shares(path, num_shares=min(team.size, len(videos)))
        team.wait()
    features: Float32[np.ndarray, "N V K D"] = np.load(path)
    return features


def embed_complete_labels(model: VideoCLIP, labels: Sequence[Label]) -> LabelBank:
    """Encode labels that all have the languages of the model.

    Raises:
        DataError: a label lacks a language.
    """
    require_texts(model, labels, purpose="evaluation")
    return embed_labels(model, labels, with_chinese=model.chinese is not None)


def _share_path(path: Path, rank: int) -> Path:
    return path.with_suffix(f".{rank}.partial.npy")


def _write_share(
    path: Path, model: VideoCLIP, *, videos: Sequence[Path], plan: ViewPlan, num_workers: int, team: Team
) -> None:
    """Write the features of this process's videos; one without any writes nothing."""
    if videos:
        np.save(path, _encode(model, videos=videos, plan=plan, num_workers=num_workers, shows_progress=team.is_main))


def _join_shares(path: Path, *, num_shares: int) -> None:
    """Make the file of all features from those of the shares, without holding them in memory."""
    paths = [_share_path(path, rank) for rank in range(num_shares)]
    if num_shares == 1:
        paths[0].replace(path)
        return
    shares = [np.load(each, mmap_mode="r") for each in paths]
    shape = (sum(map(len, shares)), *shares[0].shape[1:])
    with write_whole(path) as unfinished:
        features = np.lib.format.open_memmap(unfinished, mode="w+", dtype=shares[0].dtype, shape=shape)
        for rank, share in enumerate(shares):
            features[rank::num_shares] = share
        features.flush()
    for each in paths:
        each.unlink()


@torch.inference_mode()
def _encode(
    model: VideoCLIP, *, videos: Sequence[Path], plan: ViewPlan, num_workers: int, shows_progress: bool
) -> Float32[np.ndarray, "N V K D"]:
    """Decode in other processes and encode in this one, a bounded number of videos at a time."""
    model.eval()
    device = next(model.parameters()).device
    features = []
    views = read_all_views(
        videos,
        preprocessing=model.config.preprocessing,
        sampling=model.config.sampling,
        plan=plan,
        num_workers=num_workers,
    )
    for own in track(views, total=len(videos), description="embedding videos", disable=not shows_progress):
        features.append(model.encode_video(torch.from_numpy(own).to(device)).float().cpu().numpy())
    return np.stack(features)


def _key(model: VideoCLIP, *, digests: Sequence[str], plan: ViewPlan) -> str:
    """Name the features after all that decides them."""
    digest = hashlib.sha256()
    for name, tensor in model.video.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    config = model.config
    # Weights of equal shapes mean other features where a stem pads, or frames are pooled, otherwise.
    settings = (
        config.sampling.model_dump(mode="json"),
        config.preprocessing.model_dump(mode="json"),
        asdict(config.adapters),
        str(plan),
    )
    digest.update(json.dumps([*settings, *digests]).encode())
    return digest.hexdigest()[:16]
