"""CLIP by open_clip's classes and names: sizes, construction and the text tower.

Lives here: `clip_config`, `build_clip` and `EnglishTextTower`. Not here: temporal adapters, the Chinese tower, weights.
Parameter names are those of open_clip and OpenAI, so released weights load without renaming.
"""

from typing import Any

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from training.config.towers import ClipConfig
from training.models.attention import causal_mask, self_attention
from training.models.deep_prompts import DeepPrompts
from training.models.layer_call import call_layer
from training.torchvision_operators import declare_missing_operators

# Learned tokens stand behind the start-of-text token.
_PROMPT_POSITION = 1

# open_clip imports torchvision, so the declarations must come first and outlive the import.
_TORCHVISION_OPERATORS = declare_missing_operators()

import open_clip  # noqa: E402
from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg  # noqa: E402
from open_clip.transformer import ResidualAttentionBlock, VisionTransformer  # noqa: E402

__all__ = [
    "CLIP",
    "EnglishTextTower",
    "ResidualAttentionBlock",
    "VisionTransformer",
    "build_clip",
    "clip_config",
    "open_clip",
]


def clip_config(architecture: str) -> ClipConfig:
    """Return the size of an open_clip ViT architecture, as `ViT-B-16-quickgelu`."""
    known: dict[str, Any] | None = open_clip.get_model_config(architecture)
    vision = known["vision_cfg"] if known else {}
    if known is None or vision.get("patch_size") is None or "hf_model_name" in known["text_cfg"]:
        raise ValueError(
            f"architecture is {architecture!r}, but only open_clip's ViT CLIPs with its own text tower are supported; "
            "use a name such as 'ViT-B-16-quickgelu'"
        )
    text = known["text_cfg"]
    return ClipConfig(
        embed_dim=known["embed_dim"],
        quick_gelu=known.get("quick_gelu", False),
        image_size_pixels=vision["image_size"],
        patch_size_pixels=vision["patch_size"],
        vision_width=vision["width"],
        vision_layers=vision["layers"],
        vision_heads=vision["width"] // vision.get("head_width", CLIPVisionCfg.head_width),
        vocab_size=text["vocab_size"],
        context_length=text["context_length"],
        text_width=text["width"],
        text_layers=text["layers"],
        text_heads=text["heads"],
    )


def build_clip(config: ClipConfig | str) -> CLIP:
    """Build a CLIP with random weights from a size or from the name of an open_clip architecture."""
    size = clip_config(config) if isinstance(config, str) else config
    return CLIP(
        embed_dim=size.embed_dim,
        quick_gelu=size.quick_gelu,
        vision_cfg=CLIPVisionCfg(
            image_size=size.image_size_pixels,
            patch_size=size.patch_size_pixels,
            width=size.vision_width,
            layers=size.vision_layers,
            head_width=size.vision_width // size.vision_heads,
        ),
        text_cfg=CLIPTextCfg(
            context_length=size.context_length,
            vocab_size=size.vocab_size,
            width=size.text_width,
            layers=size.text_layers,
            heads=size.text_heads,
        ),
    )


class EnglishTextTower(nn.Module):
    """Encode token ids of any length with the text half of a CLIP, whose modules it shares.

    Under the causal mask nothing after the end-of-text token reaches it, so ids may be padded to the longest label of
    a request instead of to the whole context; the first `length` positions of the position table are used.

    With prompts, learned tokens enter behind the start-of-text token and take positions as words do, as if the text
    began with as many placeholders. Ids and outputs know nothing of them: those are the text's own tokens.
    """

    def __init__(self, clip: CLIP, *, prompts: DeepPrompts | None = None) -> None:
        """Take the text modules of `clip`, without copying them."""
        super().__init__()
        self.vl_prompts = prompts
        self.token_embedding = clip.token_embedding
        self.positional_embedding = clip.positional_embedding
        self.transformer = clip.transformer
        self.ln_final = clip.ln_final
        self.text_projection = clip.text_projection

    def start_prompts(self, token_ids: Int[Tensor, " P"]) -> None:
        """Let the prompts of layer 0 start at the vectors of words.

        Raises:
            ValueError: the tower has another number of prompts.
        """
        num_tokens = 0 if self.vl_prompts is None else self.vl_prompts.num_tokens
        if self.vl_prompts is None or len(token_ids) != num_tokens:
            raise ValueError(f"{len(token_ids)} words were given for a text tower of {num_tokens} prompts")
        self.vl_prompts.prompt_tokens.data[0] = self.token_embedding.weight.data[token_ids.long()]

    def forward(
        self, token_ids: Int[Tensor, "L length"], eot_index: Int[Tensor, " L"]
    ) -> tuple[Float[Tensor, "L D"], Float[Tensor, "L length D"]]:
        """Return the unit-length embedding at each end-of-text token, and every token's unit-length output."""
        # Not `self.token_embedding(token_ids)`: the exporter would call that node `embedding`, as the graph's output.
        tokens = self.token_embedding.weight[token_ids.long()]
        if self.vl_prompts is not None:
            tokens = self.vl_prompts.insert(tokens, position=_PROMPT_POSITION)
        tokens = tokens + self.positional_embedding[: tokens.shape[1]]
        mask = causal_mask(tokens)
        for layer, block in enumerate(self.transformer.resblocks):
            if self.vl_prompts is not None:
                tokens = self.vl_prompts.renew(tokens, position=_PROMPT_POSITION, layer=layer)
            tokens = call_layer(_attend_and_transform, block, tokens, mask)
        if self.vl_prompts is not None:
            tokens = self.vl_prompts.remove(tokens, position=_PROMPT_POSITION)
        words = functional.normalize(self.ln_final(tokens) @ self.text_projection, dim=-1)
        index = eot_index.long()[:, None, None].expand(-1, 1, words.shape[-1])
        return words.gather(1, index).squeeze(1), words


def _attend_and_transform(
    block: ResidualAttentionBlock, tokens: Float[Tensor, "L length D"], mask: Bool[Tensor, "length length"]
) -> Float[Tensor, "L length D"]:
    attended = tokens + self_attention(block.attn, block.ln_1(tokens), mask=mask)
    output: Tensor = attended + block.mlp(block.ln_2(attended))
    return output
