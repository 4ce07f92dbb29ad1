"""Prompted towers against token lists and loops, and what a text tower keeps to itself."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.training.fine_tuned import DEEP_PROMPTS, FINE_TUNED, PROMPTED, fine_tuned
from tests.training.tiny import CLIP, random_clips, tiny_model, tiny_tokenizers
from training.config.adapters import DeepPromptConfig, Fusion
from training.config.model import ModelConfig
from training.models.builders import build_model
from training.models.clip import ResidualAttentionBlock
from training.models.deep_prompts import DeepPrompts
from training.models.video_clip import VideoCLIP

LAYERS = 3
TOWERS = replace(CLIP, vision_layers=LAYERS, text_layers=LAYERS)
DEPTHS = [1, 2, 3]


def prompted(depth: int, *, fusion: Fusion = "embedding") -> ModelConfig:
    """Prompt towers of three layers."""
    return replace(PROMPTED, clip=TOWERS, adapters=replace(DEEP_PROMPTS, depth=depth, fusion=fusion))


def plain_block(block: ResidualAttentionBlock, tokens: list[Tensor], *, causal: bool) -> list[Tensor]:
    """Apply a layer by torch's own attention."""
    stacked = torch.stack(tokens)[None]
    mask = nn.Transformer.generate_square_subsequent_mask(len(tokens)) if causal else None
    normed = block.ln_1(stacked)
    stacked = stacked + block.attn(normed, normed, normed, need_weights=False, attn_mask=mask)[0]
    return list((stacked + block.mlp(block.ln_2(stacked)))[0])


def slow_frame(model: VideoCLIP, frame: Tensor) -> Tensor:
    """Embed one frame, token by token: prompts stand last, and those of deeper layers replace them."""
    visual, prompts = model.video.visual, model.video.vl_prompts
    pixels = ((frame.float() - model.video.mean) / model.video.std).permute(2, 0, 1)[None]
    patches = list(visual.conv1(pixels)[0].flatten(1).T)
    tokens = [visual.class_embedding, *patches]
    tokens = [token + place for token, place in zip(tokens, visual.positional_embedding, strict=True)]
    own = [] if prompts is None else list(prompts.prompt_tokens)
    tokens = [visual.ln_pre(token) for token in [*tokens, *(own[0] if own else [])]]
    for layer, block in enumerate(visual.transformer.resblocks):
        if 0 < layer < len(own):
            tokens = [*tokens[: -len(own[layer])], *own[layer]]
        tokens = plain_block(block, tokens, causal=False)
    return visual.ln_post(tokens[0]) @ visual.proj


def slow_text(model: VideoCLIP, token_ids: list[int]) -> Tensor:
    """Embed one text of as many placeholders as there are prompts, whose vectors the prompts replace."""
    english = model.english
    assert english.vl_prompts is not None
    own = list(english.vl_prompts.prompt_tokens)
    num, placeholder = english.vl_prompts.num_tokens, 7
    tokens = [english.token_embedding.weight[i] for i in [token_ids[0], *[placeholder] * num, *token_ids[1:]]]
    tokens[1 : 1 + num] = own[0]
    tokens = [token + place for token, place in zip(tokens, english.positional_embedding, strict=False)]
    for layer, block in enumerate(english.transformer.resblocks):
        if 0 < layer < len(own):
            tokens[1 : 1 + num] = own[layer]
        tokens = plain_block(block, tokens, causal=True)
    return functional.normalize(english.ln_final(tokens[-1]) @ english.text_projection, dim=0)


@pytest.mark.parametrize("config", [*(prompted(depth) for depth in DEPTHS), FINE_TUNED])
def test_pooled_feature_is_the_mean_of_embeddings_frame_by_frame(config: ModelConfig) -> None:
    model, clips = tiny_model(config).eval(), random_clips(2)
    expected = [
        functional.normalize(torch.stack([slow_frame(model, frame) for frame in clip]).mean(dim=0), dim=0)
        for clip in clips
    ]
    torch.testing.assert_close(model.encode_video(clips)[:, 0], torch.stack(expected), atol=2e-6, rtol=0)


@pytest.mark.parametrize(
    "config",
    [prompted(2, fusion="decision"), prompted(2, fusion="image"),
     fine_tuned(fusion="decision"), fine_tuned(fusion="image")],
)  # fmt: skip
def test_unpooled_features_are_each_frame_by_itself(config: ModelConfig) -> None:
    model, clips = tiny_model(config).eval(), random_clips(2)
    expected = [[functional.normalize(slow_frame(model, frame), dim=0) for frame in clip] for clip in clips]
    stacked = torch.stack([torch.stack(clip) for clip in expected])
    torch.testing.assert_close(model.encode_video(clips), stacked, atol=2e-6, rtol=0)


@pytest.mark.parametrize("depth", DEPTHS)
def test_prompted_text_is_that_of_replaced_placeholders(depth: int) -> None:
    torch.manual_seed(0)
    model = build_model(prompted(depth), tokenizers=tiny_tokenizers()).eval()
    labels = ["waving", "circle moving left"]
    tokens = model.tokenize_en(labels)
    rows = [row[: end + 1].tolist() for row, end in zip(tokens.token_ids, tokens.eot_index, strict=True)]
    expected = torch.stack([slow_text(model, row) for row in rows])
    torch.testing.assert_close(model.encode_text_en(labels).embedding, expected, atol=2e-6, rtol=0)


def test_text_tower_answers_for_its_own_tokens_alone() -> None:
    model = tiny_model(prompted(2)).eval()
    token_ids = torch.tensor([[512, 40, 41, 513], [512, 40, 513, 0]])
    embedding, words = model.english(token_ids, torch.tensor([3, 2]))
    assert words.shape == (2, 4, 16)
    torch.testing.assert_close(embedding, torch.stack([words[0, 3], words[1, 2]]))


def test_long_text_is_cut_so_that_prompts_find_positions() -> None:
    tokenizers = tiny_tokenizers()
    model = build_model(PROMPTED, tokenizers=tokenizers).eval()
    assert model.tokenize_en(["waving " * 20]).token_ids.shape == (1, CLIP.context_length - 5)
    assert tokenizers.english.max_length == CLIP.context_length
    assert model.encode_text_en(["waving " * 20]).embedding.isfinite().all()


def test_prompted_text_ends_in_a_full_stop() -> None:
    model = build_model(PROMPTED, tokenizers=tiny_tokenizers())
    ids = tiny_tokenizers().english.encode(["wave"], template="{}.", word_set="label").token_ids[0].tolist()
    assert model.tokenize_en(["wave"]).token_ids[0].tolist() == ids


def test_prompts_are_drawn_narrowly() -> None:
    torch.manual_seed(0)
    values = DeepPrompts(depth=4, num_tokens=10, width=64).prompt_tokens
    assert values.shape == (4, 10, 64)
    assert values.std().item() == pytest.approx(0.02, rel=0.05)
    assert values.mean().item() == pytest.approx(0.0, abs=0.002)


def test_prompts_start_at_given_words() -> None:
    english = tiny_model(PROMPTED).english
    english.start_prompts(torch.arange(5))
    assert english.vl_prompts is not None
    assert torch.equal(english.vl_prompts.prompt_tokens[0], english.token_embedding.weight[:5])


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (PROMPTED, "2 words were given for a text tower of 5 prompts"),
        (FINE_TUNED, "2 words were given for a text tower of 0 prompts"),
    ],
)
def test_other_number_of_words_is_refused(config: ModelConfig, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tiny_model(config).english.start_prompts(torch.arange(2))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"depth": 4}, "depth is 4, but the image tower has 3 layers; lower it"),
        ({"num_text_tokens": 29}, "num_text_tokens is 29, but a text has 32 positions, of which its label"),
        ({"depth": 0}, "depth is 0; it must be at least 1"),
        ({"num_vision_tokens": 0}, "num_vision_tokens is 0; it must be at least 1"),
        ({"num_text_tokens": 0}, "num_text_tokens is 0; it must be at least 1"),
    ],
)  # fmt: skip
def test_prompts_that_towers_have_no_room_for_are_refused(changes: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(prompted(1), adapters=replace(DEEP_PROMPTS, **changes))  # type: ignore[arg-type]


def test_depth_beyond_a_named_tower_is_refused() -> None:
    config = replace(PROMPTED, clip="ViT-B-16-quickgelu", adapters=DeepPromptConfig(depth=13))
    with pytest.raises(ValueError, match="depth is 13, but the image tower has 12 layers; lower it"):
        build_model(config)


def test_depth_is_bounded_by_the_shallower_tower() -> None:
    with pytest.raises(ValueError, match="depth is 2, but the text tower has 1 layers; lower it"):
        replace(PROMPTED, adapters=replace(DEEP_PROMPTS, depth=2))
