"""The parts of a score that are drawn add up to the score, and lie where the patches lie."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tests.training.models.tds.slow import scatter
from tests.training.side import SIDE_MODEL, random_segments, side_config
from tests.training.tiny import random_clips, tiny_model
from training.config.model import ModelConfig
from training.evaluation.figures.evidence import read_side_evidence, read_text_similarity
from training.models.tds.encoder import SideVideoEncoder
from training.models.video_encoder import VideoEncoder, apply_layer

TEXTS = functional.normalize(torch.randn(5, 16, generator=torch.Generator().manual_seed(3)), dim=-1)
LINEAR = side_config(head="linear", num_classes=3)
VANILLA = SIDE_MODEL.without_adapters()


def scattered(config: ModelConfig) -> SideVideoEncoder:
    """An encoder whose norms have learnt something."""
    encoder = tiny_model(config).eval().video
    assert isinstance(encoder, SideVideoEncoder)
    scatter(encoder.side).float()
    scatter(encoder.head).float()
    return encoder


@pytest.mark.parametrize("num_local_frames", [1, 5])
def test_parts_of_a_logit_add_up_to_it(num_local_frames: int) -> None:
    config = side_config(head="linear", num_classes=3, num_local_frames=num_local_frames)
    encoder, clip = scattered(config), random_segments(1, config=config)
    evidence = read_side_evidence(encoder, clip[0], texts=None)
    assert evidence.patches.shape == (3, 4, 2, 2)
    whole = evidence.patches.mean(dim=(1, 2, 3)) + evidence.bias
    torch.testing.assert_close(whole, encoder(clip)[0, 0], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("config", [SIDE_MODEL, side_config(variant="side4video"), side_config(fuse_frozen=True)])
def test_parts_of_a_cosine_add_up_to_that_of_the_side_network(config: ModelConfig) -> None:
    encoder, clip = scattered(config), random_segments(1, config=config)
    evidence = read_side_evidence(encoder, clip[0], texts=TEXTS)
    assert evidence.patches.shape == (5, 4, 2, 2)
    whole = evidence.patches.mean(dim=(1, 2, 3)) + evidence.bias
    torch.testing.assert_close(whole, TEXTS @ encoder(clip)[0, 0], atol=1e-5, rtol=1e-4)


def test_segments_of_one_frame_may_lack_their_axis() -> None:
    config = side_config(num_local_frames=1)
    encoder, clip = scattered(config), random_segments(1, config=config)[0]
    with_axis, without = (read_side_evidence(encoder, each, texts=TEXTS) for each in (clip, clip[:, 0]))
    assert torch.equal(with_axis.patches, without.patches)


def test_evidence_lies_where_its_patch_lies() -> None:
    encoder = scattered(LINEAR)
    planted, expected = torch.zeros(1, 8, 4, 2, 2), torch.zeros(3, 4, 2, 2)
    planted[0, :, 2, 0, 1] = torch.arange(8.0)
    expected[:, 2, 0, 1] = encoder.head.state_dict()["fc.weight"] @ torch.arange(8.0)
    encoder.side.post_norm.register_forward_hook(lambda *_: planted)
    evidence = read_side_evidence(encoder, random_segments(1)[0], texts=None)
    torch.testing.assert_close(evidence.patches, expected)


def test_a_cosine_head_without_texts_is_refused() -> None:
    with pytest.raises(ValueError, match="a cosine head was given no texts to compare a clip with; give those of the"):
        read_side_evidence(scattered(SIDE_MODEL), random_segments(1)[0], texts=None)


def finish_tower(encoder: VideoEncoder, frames: Tensor) -> Tensor:
    """Bring every token that leaves a tower into the joint space, as [CLS] is brought there."""
    tokens = encoder._embed(frames)
    for block in encoder.visual.transformer.resblocks:
        tokens = apply_layer(block, tokens, prompts=None)
    return functional.normalize(encoder.visual.ln_post(tokens) @ encoder.visual.proj, dim=-1)


def test_patches_are_compared_as_the_class_token_is() -> None:
    encoder, frames = tiny_model(VANILLA).eval().video, random_clips(1, config=VANILLA)
    tokens = finish_tower(encoder, frames)
    torch.testing.assert_close(tokens[:, :, 0], encoder(frames))
    expected = torch.stack([tokens[0, :, 1:] @ text for text in TEXTS]).reshape(5, 4, 2, 2)
    torch.testing.assert_close(read_text_similarity(encoder, frames[0], texts=TEXTS), expected)


def test_reading_leaves_the_encoders_as_they_were() -> None:
    side, plain, clip = scattered(SIDE_MODEL), tiny_model(VANILLA).eval().video, random_segments(1)
    before = side(clip)
    read_side_evidence(side, clip[0], texts=TEXTS)
    read_text_similarity(plain, clip[0, :, 2], texts=TEXTS)
    assert torch.equal(side(clip), before)
    assert not side.side.post_norm._forward_hooks
    assert not plain.visual.transformer.resblocks[-1].ln_2._forward_hooks
