"""Embedding splits and labels: the model's features of the service's views, cached by content."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from service.contract.errors import DuoActError
from service.contract.labels import Label
from service.contract.manifest import Sampling
from service.contract.views import ViewPlan, read_views
from tests.training.tiny import LABELS, PREPROCESSING, bilingual_model, write_tiny_data
from training.data.annotations import VideoData, read_video_data
from training.errors import DataError
from training.evaluation.embed import EmbeddedSplit, embed_complete_labels, embed_split
from training.models.video_clip import VideoCLIP

Embed = Callable[..., EmbeddedSplit]


@pytest.fixture
def model(tmp_path: Path) -> VideoCLIP:
    return bilingual_model(tmp_path / "backbone").eval()


@pytest.fixture
def embed(model: VideoCLIP, data: VideoData, tmp_path: Path) -> Embed:
    def call(*, plan: ViewPlan | None = None, data: VideoData = data) -> EmbeddedSplit:
        plan = plan or ViewPlan()
        return embed_split(model, data=data, split="test", plan=plan, cache_dir=tmp_path / "cache", num_workers=1)

    return call


@pytest.mark.parametrize("plan", [ViewPlan(), ViewPlan(2, 3)])
def test_features_are_those_of_the_views(embed: Embed, model: VideoCLIP, data: VideoData, plan: ViewPlan) -> None:
    embedded = embed(plan=plan)
    assert embedded.videos == ("12.mp4", "13.mp4", "14.mp4")
    assert embedded.label_ids.tolist() == [0, 1, 2]
    views = read_views(
        data.directory / "13.mp4",
        preprocessing=PREPROCESSING,
        sampling=Sampling(rule="segment_centres", num_frames=4),
        plan=plan,
    ).views
    with torch.no_grad():
        expected = model.encode_video(torch.from_numpy(views)).numpy()
    np.testing.assert_allclose(embedded.features[1], expected, atol=1e-6)


def test_features_are_cached_by_views_and_weights(embed: Embed, model: VideoCLIP, tmp_path: Path) -> None:
    first = embed()
    assert np.array_equal(embed().features, first.features)
    assert len(list((tmp_path / "cache").iterdir())) == 1
    embed(plan=ViewPlan(2, 1))
    assert len(list((tmp_path / "cache").iterdir())) == 2
    with torch.no_grad():
        model.video.visual.proj.add_(torch.randn(16, 16))
    assert not np.array_equal(embed().features, first.features)


def test_bad_videos_are_named(embed: Embed, tmp_path: Path) -> None:
    folder = write_tiny_data(tmp_path / "data")
    for name in ("12.mp4", "14.mp4"):
        (folder / name).write_bytes(b"not a video")
    with pytest.raises(DataError, match=r"2 videos do not decode: .*12\.mp4: .*; .*14\.mp4: "):
        embed(data=read_video_data(folder))


def test_label_bank_is_that_of_the_towers(model: VideoCLIP) -> None:
    labels = [Label(*texts) for texts in LABELS]
    bank, text = embed_complete_labels(model, labels), model.encode_text_en([label.en or "" for label in labels])
    assert bank.english is not None
    assert bank.words is not None
    assert bank.word_counts is not None
    assert bank.chinese is not None
    assert np.array_equal(bank.english, text.embedding.numpy())
    assert np.array_equal(bank.words, text.words.numpy())
    assert bank.word_counts.tolist() == text.word_counts.tolist()
    assert np.array_equal(bank.chinese, model.encode_text_zh([label.zh or "" for label in labels]).numpy())


def test_label_without_a_language_is_named(model: VideoCLIP) -> None:
    with pytest.raises(DuoActError, match="evaluation needs English and Chinese text for every label; waving lack it"):
        embed_complete_labels(model, [Label("waving")])


def test_english_model_needs_english_alone(tmp_path: Path) -> None:
    model = bilingual_model(tmp_path / "english", chinese=False)
    assert embed_complete_labels(model, [Label("waving")]).chinese is None
    with pytest.raises(DataError, match="evaluation needs English text for every label; 挥手 lack it"):
        embed_complete_labels(model, [Label(zh="挥手")])


def test_data_of_another_split_is_embedded_in_its_order(model: VideoCLIP, data: VideoData, tmp_path: Path) -> None:
    reversed_data = replace(data, annotations=data.annotations[::-1])
    embedded = embed_split(model, data=reversed_data, split="novel", plan=ViewPlan(), cache_dir=tmp_path, num_workers=1)
    assert embedded.videos == ("17.mp4", "16.mp4", "15.mp4")
