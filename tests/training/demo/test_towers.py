"""Training the tiny bilingual CLIP: it learns, repeats itself under one seed, and moves into a video model."""

import numpy as np
import pytest
import torch

from training.demo.pretrain import PretrainConfig, caption_loss, draw_batches
from training.demo.stills import draw_stills
from training.demo.towers import (
    CHINESE_LENGTH,
    CONTEXT_LENGTH,
    DemoTowers,
    demo_chinese_config,
    demo_clip_config,
    train_demo_tokenizers,
    train_demo_towers,
)

ONE_STEP = PretrainConfig(num_steps=1, batch_size=4, learning_rate=1e-3, warmup_steps=1)
TOKENIZERS = train_demo_tokenizers()


def train_one_step() -> DemoTowers:
    return train_demo_towers(
        TOKENIZERS, seed=3, num_workers=1, num_stills=4, clip_training=ONE_STEP, chinese_training=ONE_STEP
    )


def test_caption_loss_is_the_mean_of_both_directions_and_shares_the_target() -> None:
    logits = np.array([[2.0, 0.0, 1.0], [1.2, 1.6, 0.0], [0.3, 0.1, 0.9]])
    is_true = np.array([[True, False, True], [False, True, False], [False, False, True]])
    likelihood = [logits - np.log(np.exp(logits).sum(axis, keepdims=True)) for axis in (1, 0)]
    means = [-(kind * is_true).sum(axis) / is_true.sum(axis) for kind, axis in zip(likelihood, (1, 0), strict=True)]
    loss = caption_loss(torch.tensor(logits, dtype=torch.float32), is_true=torch.tensor(is_true))
    assert loss.item() == pytest.approx(np.mean(means), abs=1e-6)


def test_batches_pair_each_still_with_a_true_caption_and_come_again() -> None:
    stills = draw_stills(5, seed=0, size_pixels=32, num_workers=1)
    batches = draw_batches(stills, config=PretrainConfig(num_steps=9, batch_size=2, learning_rate=1.0), seed=1)
    for _ in range(5):
        batch = next(batches)
        assert batch.is_true.diagonal().all()
        assert batch.pixels.shape == (2, 32, 32, 3)


def test_an_odd_batch_size_is_refused() -> None:
    config = PretrainConfig(num_steps=1, batch_size=3, learning_rate=1.0)
    with pytest.raises(ValueError, match="batch_size is 3; stills come in twins, so choose an even number"):
        next(draw_batches([], config=config, seed=0))


def test_fewer_stills_than_a_batch_are_refused() -> None:
    stills = draw_stills(2, seed=0, size_pixels=32, num_workers=1)
    with pytest.raises(ValueError, match="2 stills are fewer than a batch of 4; draw more"):
        next(draw_batches(stills, config=ONE_STEP, seed=0))


def test_towers_have_the_documented_size() -> None:
    assert demo_clip_config(TOKENIZERS.english).context_length == CONTEXT_LENGTH
    assert demo_chinese_config(TOKENIZERS.chinese).num_positions == CHINESE_LENGTH


def test_towers_train_repeatably() -> None:
    first, again = train_one_step(), train_one_step()
    for one, other in ((first.clip, again.clip), (first.chinese, again.chinese)):
        assert all(torch.equal(other.state_dict()[name], tensor) for name, tensor in one.state_dict().items())
