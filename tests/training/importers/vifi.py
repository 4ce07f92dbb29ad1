"""Checkpoints as ViFi-CLIP's code writes them, and its forward pass from their own names (Rasheed et al. 2023).

Frames go through open_clip's blocks one by one; words of the classes are the vectors that lie in the file.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn
from torch.nn import functional

from service.contract.tokenizer import EnglishTokenizer
from training.config.towers import ClipConfig
from training.importers.vificlip import IMAGENET_MEAN, IMAGENET_STD
from training.models.clip import build_clip
from training.models.tokenizers import build_english_tokenizer

State = dict[str, Tensor]
_TOWERS = {"visual.": "image_encoder.", "": "text_encoder."}


def as_state(clip: State) -> State:
    """Rename towers; the vocabulary does not lie in the file."""
    state = {}
    for name, tensor in clip.items():
        if name.startswith("visual."):
            state["image_encoder." + name.removeprefix("visual.")] = tensor
        elif name == "logit_scale":
            state[name] = tensor
        elif name != "token_embedding.weight":
            state["text_encoder." + name] = tensor
    return state


def tokenize(
    texts: Sequence[str], *, config: ClipConfig, tokenizer: EnglishTokenizer | None = None
) -> Int[Tensor, "K length"]:
    """Pad texts to the whole context."""
    own = tokenizer or EnglishTokenizer(build_english_tokenizer([]), max_length=config.context_length)
    ids = torch.from_numpy(own.encode(texts, template="{}", word_set="label").token_ids).long()
    return functional.pad(ids, (0, config.context_length - ids.shape[1]))


def fine_tuned_state(clip: State, *, ids: Tensor, vocabulary: Tensor) -> State:
    """Make the state of a fine-tuned model; its vocabulary is stored in half precision."""
    texts = vocabulary[ids].half().float()
    return {"prompt_learner.complete_text_embeddings": texts, **as_state(clip)}


def prompted_state(
    clip: State, *, ids: Tensor, vocabulary: Tensor, depth: int, num_vision: int, num_text: int
) -> State:
    """Make the state of a prompted model; the placeholders of ``ids`` are where its prompts go."""
    texts = vocabulary[ids].half().float()
    image, text = (num_vision, clip["visual.proj"].shape[0]), (num_text, vocabulary.shape[1])
    state = {"image_encoder.VPT": torch.randn(image), "prompt_learner.ctx": torch.randn(text)}
    state["prompt_learner.token_prefix"] = texts[:, :1]
    state["prompt_learner.token_suffix"] = texts[:, 1 + num_text :]
    for layer in range(1, depth):
        state[f"image_encoder.transformer.resblocks.{layer}.VPT_shallow"] = torch.randn(image)
        state[f"text_encoder.transformer.resblocks.{layer}.VPT_shallow"] = torch.randn(text)
    return state | as_state(clip)


class Reference(nn.Module):
    """The forward pass of a state, with prompts where it has them."""

    def __init__(self, state: State, *, config: ClipConfig) -> None:
        super().__init__()
        self.state = state
        self.clip = build_clip(config).eval()
        towers = {
            new + name.removeprefix(old): tensor
            for new, old in _TOWERS.items()
            for name, tensor in state.items()
            if name.startswith(old) and "VPT" not in name
        }
        rest = {"logit_scale": state["logit_scale"], "token_embedding.weight": self.clip.token_embedding.weight.data}
        self.clip.load_state_dict(towers | rest)

    @torch.no_grad()
    def encode_video(self, frames: UInt8[Tensor, "N T H W 3"]) -> Float[Tensor, "N 1 D"]:
        """Average the embeddings of frames."""
        return functional.normalize(
            torch.stack([self._encode_frame(clip) for clip in frames.unbind(1)]).mean(0), dim=-1
        )[:, None]

    @torch.no_grad()
    def encode_texts(self, ids: Int[Tensor, "K length"]) -> Float[Tensor, "K D"]:
        """Encode the classes of the file, whose ids only say where their texts end."""
        clip, state = self.clip, self.state
        name = "prompt_learner.complete_text_embeddings"
        tokens = state[name] if name in state else torch.cat(
            [state["prompt_learner.token_prefix"], state["prompt_learner.ctx"].expand(len(ids), -1, -1),
             state["prompt_learner.token_suffix"]], dim=1)  # fmt: skip
        tokens = tokens + clip.positional_embedding
        for layer, block in enumerate(clip.transformer.resblocks):
            prompts = state.get(f"text_encoder.transformer.resblocks.{layer}.VPT_shallow")
            if prompts is not None:
                rest = tokens[:, 1 + len(prompts) :]
                tokens = torch.cat([tokens[:, :1], prompts.expand(len(ids), -1, -1), rest], dim=1)
            tokens = block(tokens, attn_mask=clip.attn_mask)
        ends = clip.ln_final(tokens)[torch.arange(len(ids)), ids.argmax(dim=1)]
        return functional.normalize(ends @ clip.text_projection, dim=-1)

    def _encode_frame(self, frames: UInt8[Tensor, "N H W 3"]) -> Float[Tensor, "N D"]:
        visual, state = self.clip.visual, self.state
        pixels = (frames / 255 - torch.tensor(IMAGENET_MEAN)) / torch.tensor(IMAGENET_STD)
        patches = visual.conv1(pixels.permute(0, 3, 1, 2)).flatten(2).transpose(1, 2)
        tokens = torch.cat([visual.class_embedding.expand(len(frames), 1, -1), patches], dim=1)
        tokens = tokens + visual.positional_embedding
        if "image_encoder.VPT" in state:
            tokens = torch.cat([tokens, state["image_encoder.VPT"].expand(len(frames), -1, -1)], dim=1)
        tokens = visual.ln_pre(tokens)
        for layer, block in enumerate(visual.transformer.resblocks):
            prompts = state.get(f"image_encoder.transformer.resblocks.{layer}.VPT_shallow")
            if prompts is not None:
                tokens = torch.cat([tokens[:, : -len(prompts)], prompts.expand(len(frames), -1, -1)], dim=1)
            tokens = block(tokens)
        return visual.ln_post(tokens[:, 0]) @ visual.proj
