"""The small parts of the use case: deadline, stopwatch, caches, predictions, thumbnails, label sets."""

import asyncio
import base64
import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from service.contract.decode import VideoInfo
from service.contract.errors import DeadlineExceededError, NotFoundError
from service.contract.labels import Label, LabelTable
from service.contract.scoring import Scores
from service.contract.views import ViewPlan
from service.labels.sets import LabelSets
from service.recognition.deadline import Deadline, Stopwatch
from service.recognition.predictions import predict
from service.recognition.thumbnails import render_thumbnails
from service.recognition.video_cache import VideoCache, VideoFeatures, VideoKey

INFO = VideoInfo(4.0, 40, 320, 240, "h264", 10.0, 0)
FEATURES = VideoFeatures(
    features=np.zeros((1, 4, 16), dtype=np.float32),
    indices=np.array([[5, 15, 25, 35]]),
    time_seconds=np.array([[0.5, 1.5, 2.5, 3.5]]),
    info=INFO,
    degraded=None,
    thumbnails=None,
)
LABELS = (Label("a"), Label("b"), Label("c"))


def make_scores(probability: list[float], score: list[float], weights: np.ndarray) -> Scores:
    return Scores(
        similarity_en=None,
        similarity_zh=None,
        score=np.array(score, dtype=np.float32),
        probability=np.array(probability, dtype=np.float32),
        frame_weights=weights.astype(np.float32),
    )


def key(name: str, plan: str = "1x1", bundle: str = "d") -> VideoKey:
    return VideoKey(name, ViewPlan.parse(plan), bundle)


def test_remaining_time_shrinks_to_nothing() -> None:
    now = 100.0
    deadline = Deadline(100.0, 5.0, clock=lambda: now)
    assert deadline.remaining_seconds == 5.0
    now = 200.0
    assert deadline.remaining_seconds == 0.0


@pytest.mark.parametrize(("asked", "limit"), [(None, 5.0), (9.0, 5.0), (2.0, 2.0), (float("nan"), 5.0)])
def test_deadline_can_be_lowered_only(asked: float | None, limit: float) -> None:
    assert Deadline(0.0, 5.0).lowered_to(asked).limit_seconds == limit


async def test_guard_lets_work_in_time_pass_and_ends_other_work() -> None:
    async with Deadline(0.0, 0.02, clock=lambda: 0.0).guard("waiting"):
        await asyncio.sleep(0)
    with pytest.raises(DeadlineExceededError, match=r"deadline of 0.02 s passed during waiting; send a shorter video"):
        async with Deadline(0.0, 0.02, clock=lambda: 0.0).guard("waiting"):
            await asyncio.sleep(9)


def test_stages_leave_no_time_unexplained() -> None:
    ticks = iter([13.0, 14.0, 20.0, 21.0])
    stopwatch = Stopwatch(started_at=10.0, clock=lambda: next(ticks))
    for name in ("one", "two", "one"):
        with stopwatch.stage(name):
            pass
    assert stopwatch.seconds == {"one": 9.0, "two": 1.0}
    assert stopwatch.total_seconds == 11.0


def test_cache_tells_videos_plans_and_bundles_apart() -> None:
    cache = VideoCache(max_bytes=1 << 20)
    cache.keep(key("v"), FEATURES)
    assert cache.find(key("v"), with_thumbnails=False) is FEATURES
    for other in (key("w"), key("v", "2x1"), key("v", bundle="e")):
        assert cache.find(other, with_thumbnails=False) is None


def test_cache_without_thumbnails_does_not_serve_who_wants_them() -> None:
    cache = VideoCache(max_bytes=1 << 20)
    cache.keep(key("v"), FEATURES)
    assert cache.find(key("v"), with_thumbnails=True) is None
    cache.keep(key("v"), replace(FEATURES, thumbnails=("data:",) * 4))
    assert cache.find(key("v"), with_thumbnails=True) is not None


def test_cache_drops_the_least_recently_used_video() -> None:
    cache = VideoCache(max_bytes=2 * FEATURES.num_bytes)
    for name in ("a", "b"):
        cache.keep(key(name), FEATURES)
    cache.find(key("a"), with_thumbnails=False)
    cache.keep(key("c"), FEATURES)
    assert [cache.find(key(name), with_thumbnails=False) is not None for name in "abc"] == [True, False, True]


def test_video_larger_than_the_cache_is_not_kept() -> None:
    cache = VideoCache(max_bytes=10)
    cache.keep(key("v"), FEATURES)
    assert cache.find(key("v"), with_thumbnails=False) is None


def test_frame_weights_are_those_of_each_label() -> None:
    weights = np.array([[[1.0, 0, 0, 0], [0, 1.0, 0, 0], [0.25] * 4]])
    scores = make_scores([0.2, 0.7, 0.1], [0.2, 0.7, 0.1], weights)
    predictions, frames = predict(scores, labels=LABELS, video=FEATURES, top_k=2, explain=True)
    assert [(p.label.en, p.frame_weights) for p in predictions] == [("b", (0, 1, 0, 0)), ("a", (1, 0, 0, 0))]
    assert [(frame.index, frame.time_seconds, frame.weight) for frame in frames] == [
        (5, 0.5, 0.0), (15, 1.5, 1.0), (25, 2.5, 0.0), (35, 3.5, 0.0),
    ]  # fmt: skip


def test_frames_weigh_the_same_where_the_encoder_pools_inside() -> None:
    scores = make_scores([1.0, 0, 0], [1.0, 0, 0], np.ones((1, 3, 1)))
    _, frames = predict(scores, labels=LABELS, video=FEATURES, top_k=1, explain=False)
    assert [frame.weight for frame in frames] == [0.25] * 4


@pytest.mark.parametrize("local_frames", [(), (5,)])
def test_thumbnails_show_the_centre_crop(local_frames: tuple[int, ...]) -> None:
    views = np.zeros((6, 2, *local_frames, 200, 200, 3), dtype=np.uint8)
    views[1], views[4] = 80, 160
    pictures = [
        Image.open(io.BytesIO(base64.b64decode(uri.removeprefix("data:image/jpeg;base64,"))))
        for uri in render_thumbnails(views, num_crops=3)
    ]
    assert [picture.size for picture in pictures] == [(160, 160)] * 4
    assert [picture.getpixel((80, 80)) for picture in pictures] == [(80, 80, 80)] * 2 + [(160, 160, 160)] * 2


def test_bundle_hides_a_builtin_set_of_the_same_name_and_translates_first() -> None:
    builtin = {"x": LabelTable((Label("run", "奔"),), ("Running",)), "a": LabelTable((Label("go up"),), ("GoUp",))}
    sets = LabelSets(bundle={"x": (Label("run", "跑"),)}, builtin=builtin)
    assert [(found.name, found.source, found.languages) for found in sets.all()] == [
        ("x", "bundle", ("en", "zh")),
        ("a", "built-in", ("en",)),
    ]
    assert sets.dictionary.complete(Label("RUN")) == Label("RUN", "跑")
    assert sets.dictionary.complete(Label("running")) == Label("running", "奔")


def test_unknown_label_set_names_the_others() -> None:
    with pytest.raises(NotFoundError, match="label set 'z' is not stored here; known are: none"):
        LabelSets(bundle={}, builtin={}).find("z")
