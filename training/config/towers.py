"""Typed, frozen sizes of a model's towers; what is added to them is in ``adapters``."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ClipConfig:
    """State the size of a ViT CLIP; `quick_gelu` belongs to the weights and must match them."""

    embed_dim: int
    quick_gelu: bool
    image_size_pixels: int
    patch_size_pixels: int
    vision_width: int
    vision_layers: int
    vision_heads: int
    vocab_size: int
    context_length: int
    text_width: int
    text_layers: int
    text_heads: int

    def __post_init__(self) -> None:
        """Check the sizes that must divide each other."""
        for whole, part in (
            ("image_size_pixels", "patch_size_pixels"),
            ("vision_width", "vision_heads"),
            ("text_width", "text_heads"),
        ):
            if getattr(self, whole) % getattr(self, part):
                raise ValueError(
                    f"{whole} is {getattr(self, whole)} and {part} is {getattr(self, part)}, but {part} must divide "
                    f"{whole}; change one of them"
                )


@dataclass(frozen=True, kw_only=True)
class ChineseTextConfig:
    """State the size of the tower; the defaults are Chinese-CLIP ViT-B/16's RoBERTa-wwm-base."""

    embed_dim: int = 512
    vocab_size: int = 21128
    width: int = 768
    num_layers: int = 12
    num_heads: int = 12
    mlp_width: int = 3072
    num_positions: int = 512

    def __post_init__(self) -> None:
        """Check that the heads divide the width."""
        if self.width % self.num_heads:
            raise ValueError(
                f"width is {self.width} and num_heads is {self.num_heads}, but num_heads must divide width; "
                "change one of them"
            )
