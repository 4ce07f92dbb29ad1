"""The video encoder at its start, without prompts, and layer by layer against Eq. 13 and 14."""

from dataclasses import replace
from typing import get_args

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.training.tiny import MODEL, PREPROCESSING, random_clips, tiny_model, tiny_prompts
from training.config.adapters import Beta, NoAdapters, TemporalEmbeddingConfig
from training.models.builders import build_model
from training.models.clip import build_clip
from training.models.video_clip import VideoCLIP
from training.models.video_encoder import VideoEncoder

VANILLA = replace(MODEL, adapters=NoAdapters())
CLIPS = random_clips(2)


def with_towers_of(model: VideoCLIP, source: VideoCLIP) -> VideoCLIP:
    model.video.visual.load_state_dict(source.video.visual.state_dict())
    return model


def test_encoder_without_prompts_is_open_clip() -> None:
    torch.manual_seed(0)
    clip = build_clip(MODEL.clip).eval()
    model = tiny_model(VANILLA).eval()
    model.video.visual.load_state_dict(clip.visual.state_dict())
    pixels = CLIPS.flatten(0, 1).float() / 255
    mean, std = (torch.tensor(values) for values in (MODEL.preprocessing.mean, MODEL.preprocessing.std))
    images = ((pixels - mean) / std).permute(0, 3, 1, 2)
    expected = functional.normalize(clip.encode_image(images), dim=-1).unflatten(0, (2, 4))
    torch.testing.assert_close(model.encode_video(CLIPS), expected, atol=1e-5, rtol=0)


def test_temporal_embedding_starts_at_zero() -> None:
    embedding = tiny_model().video.temporal_embedding
    assert embedding is not None
    assert torch.equal(embedding, torch.zeros(4, 16))


def test_baseline_starts_as_plain_frames() -> None:
    model = with_towers_of(tiny_model(replace(MODEL, adapters=TemporalEmbeddingConfig())).eval(), tiny_model(VANILLA))
    assert torch.equal(model.encode_video(CLIPS), tiny_model(VANILLA).eval().encode_video(CLIPS))


def test_baseline_adds_its_temporal_embedding_to_every_token() -> None:
    model = tiny_model(replace(MODEL, adapters=TemporalEmbeddingConfig())).eval()
    moved = tiny_model(VANILLA).eval()
    assert model.video.temporal_embedding is not None
    nn.init.normal_(model.video.temporal_embedding)
    for t, row in enumerate(model.video.temporal_embedding.detach()):
        moved.video.visual.positional_embedding.data += row
        torch.testing.assert_close(model.encode_video(CLIPS)[:, t], moved.encode_video(CLIPS)[:, t])
        moved.video.visual.positional_embedding.data -= row


def test_supervision_by_english_leaves_the_chinese_tower_out() -> None:
    assert tiny_model(replace(MODEL, supervision="english")).chinese is None


@pytest.mark.parametrize("beta", [each for each in get_args(Beta) if each != "none"])
def test_beta_at_its_start_equals_temporal_prompts_alone(beta: Beta) -> None:
    full = tiny_model(tiny_prompts(beta=beta)).eval()
    alone = tiny_model(tiny_prompts(beta="none")).eval()
    shared = {name: full.state_dict()[name] for name in alone.state_dict()}
    alone.load_state_dict(shared)
    assert torch.equal(full.encode_video(CLIPS), alone.encode_video(CLIPS))


def test_features_have_unit_length() -> None:
    norms = tiny_model().eval().encode_video(CLIPS).norm(dim=-1)
    torch.testing.assert_close(norms, torch.ones(2, 4))


class _Reordered(nn.Module):
    """Prompts in another order."""

    def __init__(self, prompts: nn.Module, order: list[int]) -> None:
        super().__init__()
        self.prompts, self.order = prompts, order

    def forward(self, cls_tokens: Tensor) -> Tensor:
        joined: Tensor = self.prompts(cls_tokens)
        return joined[:, :, self.order]


def test_order_of_prompts_does_not_matter() -> None:
    model = tiny_model().eval()
    expected = model.encode_video(CLIPS)
    assert model.video.prompts is not None
    layers = [_Reordered(layer, [3, 0, 6, 1, 5, 2, 4]) for layer in model.video.prompts]
    model.video.prompts = nn.ModuleList(layers)
    torch.testing.assert_close(model.encode_video(CLIPS), expected, atol=1e-6, rtol=1e-5)


def test_prompts_carry_time_between_frames() -> None:
    model = tiny_model().eval()
    changed = CLIPS.clone()
    changed[:, 3] = 0
    difference = (model.encode_video(CLIPS) - model.encode_video(changed)).abs().amax(dim=(0, 2))
    assert (difference > 1e-4).all()
    plain = tiny_model(VANILLA).eval()
    difference = (plain.encode_video(CLIPS) - plain.encode_video(changed)).abs().amax(dim=(0, 2))
    assert torch.equal(difference[:3], torch.zeros(3))


@torch.no_grad()
def test_layers_equal_the_equations() -> None:
    video = tiny_model(tiny_prompts(zero_init_beta=False)).eval().video
    assert video.prompts is not None
    visual = video.visual
    expected = []
    for clip in CLIPS:
        pixels = ((clip.float() - video.mean) / video.std).permute(0, 3, 1, 2)
        patches = visual.conv1(pixels).flatten(2).transpose(1, 2)
        tokens = [torch.cat([visual.class_embedding[None], patches[t]]) + visual.positional_embedding for t in range(4)]
        tokens = [visual.ln_pre(own) for own in tokens]
        for layer, block in zip(video.prompts, visual.transformer.resblocks, strict=True):
            refined = layer(torch.stack([own[0] for own in tokens])[None])[0]
            joined = [torch.cat([own, refined[t]]) for t, own in enumerate(tokens)]
            mixed = [own + block.attn(*[block.ln_1(own)[None]] * 3, need_weights=False)[0][0] for own in joined]
            tokens = [own[: len(tokens[0])] for own in mixed]
            tokens = [own + block.mlp(block.ln_2(own)) for own in tokens]
        features = torch.stack([visual.ln_post(own[0]) @ visual.proj for own in tokens])
        expected.append(features / features.norm(dim=-1, keepdim=True))
    torch.testing.assert_close(video(CLIPS), torch.stack(expected), atol=1e-5, rtol=1e-5)


def test_every_layer_needs_prompts() -> None:
    clip = build_clip(MODEL.clip)
    with pytest.raises(ValueError, match="0 layers of prompts were given for a tower of 2 layers"):
        VideoEncoder(clip.visual, num_frames=4, prompts=[], mean=(0.5,) * 3, std=(0.5,) * 3)


def test_another_number_of_frames_is_refused() -> None:
    with pytest.raises(ValueError, match="clips have 3 frames; this model takes exactly 4"):
        tiny_model().encode_video(CLIPS[:, :3])


def test_frames_of_another_size_are_refused() -> None:
    with pytest.raises(ValueError, match="frames are 31 x 32 pixels; this model takes crops of 32 x 32"):
        tiny_model().encode_video(CLIPS[:, :, :, :31])


def test_crops_have_the_size_of_the_tower() -> None:
    odd = PREPROCESSING.model_copy(update={"input_size": 31})
    with pytest.raises(ValueError, match="input_size is 31 pixels, but the image tower takes crops of 32; set it so"):
        build_model(replace(MODEL, preprocessing=odd))
