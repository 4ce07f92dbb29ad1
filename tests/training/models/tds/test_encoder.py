"""The encoder of ``tds``: what leaves it, what time does to it, and what of the tower gradients see."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from tests.training.fine_tuned import FINE_TUNED
from tests.training.models.tds.slow import scatter
from tests.training.side import SIDE, SIDE_MODEL, random_segments, side_config
from tests.training.tiny import CLIP, tiny_model
from training.config.model import ModelConfig
from training.fitting.step import prepare_modes
from training.models.clip import build_clip
from training.models.freezing import adapter_parameter_names, parameter_groups
from training.models.tds.encoder import SideVideoEncoder
from training.models.tds.side_network import SideNetwork
from training.models.video_clip import VideoCLIP

LINEAR = side_config(head="linear", num_classes=3)
FUSED = side_config(fuse_frozen=True)


def side_of(model: VideoCLIP) -> SideVideoEncoder:
    assert isinstance(model.video, SideVideoEncoder)
    return model.video


def scattered(config: ModelConfig) -> VideoCLIP:
    """A model whose norms have learnt something."""
    model = tiny_model(config).eval()
    scatter(side_of(model).side).float()
    return model


def saved_shapes(config: ModelConfig) -> list[tuple[int, ...]]:
    """Shapes of everything that a forward pass keeps for the backward pass."""
    model, shapes = tiny_model(config), []
    prepare_modes(model)

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        shapes.append(tuple(tensor.shape))
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model.encode_video(random_segments(2))
    return shapes


@pytest.mark.parametrize(("config", "shape"), [(SIDE_MODEL, (2, 1, 16)), (FUSED, (2, 2, 16)), (LINEAR, (2, 1, 3))])
def test_shape_of_what_leaves_the_encoder(config: ModelConfig, shape: tuple[int, ...]) -> None:
    output = tiny_model(config).eval().encode_video(random_segments(2))
    assert output.shape == shape
    assert config.num_frame_features == shape[1]


@pytest.mark.parametrize("config", [SIDE_MODEL, FUSED])
def test_features_have_unit_length(config: ModelConfig) -> None:
    norms = scattered(config).encode_video(random_segments(2)).norm(dim=-1)
    torch.testing.assert_close(norms, torch.ones(2, config.num_frame_features))


@torch.no_grad()
@pytest.mark.parametrize("config", [SIDE_MODEL, LINEAR])
def test_encoder_reads_every_layer_of_open_clip(config: ModelConfig) -> None:
    model, clips = scattered(config), random_segments(2)
    video = side_of(model)
    visual, side = video.visual, video.side
    pixels = (clips.float() - video.mean) / video.std
    patches = visual.conv1(pixels[:, :, 2].flatten(0, 1).permute(0, 3, 1, 2)).flatten(2).transpose(1, 2)
    cls_tokens = visual.class_embedding.expand(8, 1, -1)
    tokens = visual.ln_pre(torch.cat([cls_tokens, patches], dim=1) + visual.positional_embedding)
    volume = side.stem(pixels)
    for layer, block in enumerate(visual.transformer.resblocks):
        tokens = block(tokens)
        tapped = side.tap_linears[layer](side.tap_norms[layer](tokens)).unflatten(0, (2, 4))
        joined = (volume + tapped[:, :, 1:].transpose(2, 3).transpose(1, 2).reshape(2, 8, 4, 2, 2)) / 2
        volume = side.blocks[layer](joined, cls_tokens=tapped[:, :, 0], positions=side.position_embedding)
    expected = video.head(side.post_norm(volume).flatten(2).mean(dim=2))
    torch.testing.assert_close(model.encode_video(clips), expected, atol=1e-5, rtol=1e-5)


def test_fused_feature_is_the_pooled_tower_alone() -> None:
    model, clips = scattered(FUSED), random_segments(2)
    plain = tiny_model(FINE_TUNED).eval()
    plain.video.visual.load_state_dict(model.video.visual.state_dict())
    torch.testing.assert_close(model.encode_video(clips)[:, 1:], plain.encode_video(clips[:, :, 2]))


def test_cosine_head_scores_as_the_mean_of_both_cosines() -> None:
    features = scattered(FUSED).encode_video(random_segments(2))
    text = functional.normalize(torch.randn(16, generator=torch.Generator().manual_seed(3)), dim=0)
    torch.testing.assert_close(features.mean(dim=1) @ text, (features[:, 0] @ text + features[:, 1] @ text) / 2)


@pytest.mark.parametrize("config", [SIDE_MODEL, LINEAR])
def test_reversed_clips_are_told_apart(config: ModelConfig) -> None:
    model, clips = scattered(config), random_segments(2)
    assert (model.encode_video(clips) - model.encode_video(clips.flip(1, 2))).abs().max() > 1e-3


def test_motion_within_segments_is_seen_though_centres_stay() -> None:
    model, clips = scattered(SIDE_MODEL), random_segments(2)
    reversed_locally = clips.flip(2)
    assert torch.equal(reversed_locally[:, :, 2], clips[:, :, 2])
    assert (model.encode_video(clips) - model.encode_video(reversed_locally)).abs().max() > 1e-3


@pytest.mark.parametrize("td_adapter", ["pool", "conv", "direct"])
def test_td_adapters_change_what_leaves_the_encoder(td_adapter: str) -> None:
    model, clips = scattered(side_config(td_adapter=td_adapter)), random_segments(2)
    without = tiny_model(side_config(td_adapter="none")).eval()
    shared = {name: model.state_dict()[name] for name in without.state_dict()}
    without.load_state_dict(shared)
    assert (model.encode_video(clips) - without.encode_video(clips)).abs().max() > 1e-4


@pytest.mark.parametrize(
    ("first", "last", "expected"), [(0, None, [True, True]), (1, None, [False, True]), (0, 0, [True, False])]
)
def test_td_adapters_lie_in_their_layers(first: int, last: int | None, expected: list[bool]) -> None:
    video = side_of(tiny_model(side_config(td_first_layer=first, td_last_layer=last)))
    assert [block.td_adapter is not None for block in video.side.blocks] == expected


def test_segments_of_one_frame_may_lack_their_axis() -> None:
    config = side_config(variant="side4video")
    model, clips = scattered(config), random_segments(2, config=config)
    assert clips.shape == (2, 4, 1, 32, 32, 3)
    assert torch.equal(model.encode_video(clips), model.encode_video(clips[:, :, 0]))


def test_side4video_pads_nothing_and_has_no_adapters() -> None:
    side = side_of(tiny_model(side_config(variant="side4video"))).side
    assert side.stem.centre_conv.padding == (1, 0, 0)
    assert not [name for name, _ in side.named_parameters() if "difference" in name or "td_adapter" in name]


@pytest.mark.parametrize("config", [SIDE_MODEL, FUSED, LINEAR])
def test_gradients_reach_the_side_alone(config: ModelConfig) -> None:
    model = tiny_model(config)
    prepare_modes(model)
    output = model.encode_video(random_segments(3))
    (output * torch.randn(output.shape, generator=torch.Generator().manual_seed(2))).sum().backward()
    reached = {name for name, each in model.named_parameters() if each.grad is not None}
    assert reached == adapter_parameter_names(model)
    assert {name.split(".")[1] for name in reached} == {"side", "head"}


def test_tower_in_training_gets_gradients() -> None:
    model = tiny_model(side_config(tune_image_tower=True))
    prepare_modes(model)
    model.encode_video(random_segments(2)).sum().backward()
    assert model.video.visual.conv1.weight.grad is not None


def test_nothing_of_the_tower_is_kept_but_the_tokens_that_are_read() -> None:
    tokens, inner = (2, 4, 5, 16), 64
    frozen, tuned = saved_shapes(SIDE_MODEL), saved_shapes(side_config(tune_image_tower=True))
    assert not [shape for shape in frozen if inner in shape]
    assert [shape for shape in tuned if inner in shape]
    assert frozen.count(tokens) == CLIP.vision_layers


def test_norms_of_the_side_learn_statistics_while_the_tower_stays_in_evaluation() -> None:
    model = tiny_model(SIDE_MODEL)
    prepare_modes(model)
    model.encode_video(random_segments(2))
    counts = {name: int(each) for name, each in model.named_buffers() if name.endswith("num_batches_tracked")}
    assert set(counts.values()) == {1}
    assert not any(module.training for module in model.video.visual.modules())
    assert len(counts) == 3 + 4 * CLIP.vision_layers


def test_groups_tell_side_and_head_apart() -> None:
    groups = parameter_groups(tiny_model(SIDE_MODEL))
    assert {name for name, (trainable, _) in groups.items() if trainable} == {"side", "head"}
    assert groups["head"] == (8 * 16 + 16, 0)


def test_patches_that_form_no_square_are_refused() -> None:
    visual = build_clip(replace(CLIP, image_size_pixels=32)).visual
    visual.grid_size = (2, 3)
    with pytest.raises(ValueError, match="cuts frames into 2 x 3 patches; a side network takes a square grid"):
        SideVideoEncoder(visual, config=SIDE, num_frames=4, mean=(0.5,) * 3, std=(0.5,) * 3)


def test_other_local_frames_are_refused() -> None:
    with pytest.raises(ValueError, match="clips have 3 local frames around each of theirs; this model takes exactly 5"):
        tiny_model(SIDE_MODEL).encode_video(random_segments(2)[:, :, :3])


def test_positions_start_near_zero() -> None:
    side = SideNetwork(SIDE, tower_width=16, num_layers=1, patch_size=16, grid=14)
    assert side.position_embedding.detach().std().item() == pytest.approx(0.01, rel=0.1)
