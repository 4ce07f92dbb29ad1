"""A network beside a frozen image tower (TDS-CLIP, Wang and Wang; Side4Video, Yao et al. 2023)."""

from dataclasses import dataclass, replace
from typing import Literal

from training.config.adapters.base import AdapterConfig
from training.config.towers import ClipConfig

TemporalDifferenceVariant = Literal["none", "pool", "conv", "direct"]
# The weight of local differences in the released code; the paper found 1.0 best (Wang and Wang, TDS-CLIP, Table 3).
RELEASED_SME_ALPHA = 0.5
_HEAD_WIDTH = 64


@dataclass(frozen=True, kw_only=True)
class SideNetworkConfig(AdapterConfig):
    """A network of ``side_width`` channels beside an image tower, which trains along with ``tune_image_tower``.

    Its stem embeds the centre of ``num_local_frames`` frames with weight ``sme_beta`` and their differences with
    ``sme_alpha``; ``stem_padding`` is 1 in the released code and 0 in Side4Video's. Layers ``td_first_layer`` to
    ``td_last_layer``, the tower's last for None, have a TD-Adapter whose window is ``td_kernel`` segments. The variant
    ``side4video`` has neither adapter, sees one frame a segment and pads nothing: these fields are set so, whatever is
    given.

    A ``linear`` head knows ``num_classes`` classes, with None as many as the data has labels. A ``cosine`` head maps
    into CLIP's joint space, and ``fuse_frozen`` averages its scores with those of the frozen tower alone.
    """

    kind: Literal["side_network"] = "side_network"
    side_width: int = 320
    variant: Literal["tds", "side4video"] = "tds"
    num_local_frames: Literal[1, 3, 5] = 5
    sme_alpha: float = 1.0
    sme_beta: float = 1.0
    td_adapter: TemporalDifferenceVariant = "pool"
    td_kernel: Literal[3, 5, 7] = 3
    td_first_layer: int = 0
    td_last_layer: int | None = None
    stem_padding: Literal[0, 1] = 1
    head: Literal["linear", "cosine"] = "linear"
    num_classes: int | None = None
    fuse_frozen: bool = False
    tune_image_tower: bool = False
    method = "tds"
    loss = "classification"
    scores_mean = True
    # A side network compares the segments of a clip.
    min_num_frames = 2

    def __post_init__(self) -> None:
        """Set what the variant decides, and check the width and the head."""
        if self.variant == "side4video":
            for name, value in (("num_local_frames", 1), ("td_adapter", "none"), ("stem_padding", 0)):
                object.__setattr__(self, name, value)
        if self.side_width < 1 or self.side_width % self.num_heads:
            raise ValueError(
                f"side_width is {self.side_width}; it must be at least 1 and, from {_HEAD_WIDTH} on, divisible by "
                f"{self.num_heads}, its number of heads of about {_HEAD_WIDTH} channels"
            )
        if self.num_classes is not None:
            self.require_num_classes()
        if self.head == "linear" and self.fuse_frozen:
            raise ValueError(
                "head is 'linear' and fuse_frozen is on, but logits of classes cannot be averaged with cosines; choose "
                "the cosine head"
            )

    @property
    def num_heads(self) -> int:
        """Attention heads of a block, of about 64 channels each."""
        return max(1, self.side_width // _HEAD_WIDTH)

    @property
    def is_closed(self) -> bool:
        """Whether the head gives logits of classes."""
        return self.head == "linear"

    def count_frame_features(self, num_frames: int) -> int:  # noqa: ARG002
        """Return K: one feature a clip, and beside it the frozen tower's where both are fused."""
        return 2 if self.fuse_frozen else 1

    def with_classes(self, num_classes: int) -> "SideNetworkConfig":
        """Return the config with so many classes; with a cosine head it stays as it is."""
        return replace(self, num_classes=num_classes) if self.is_closed else self

    def require_num_classes(self) -> int:
        """Return the number of classes.

        Raises:
            ValueError: there is none.
        """
        if self.num_classes is None or self.num_classes < 1:
            raise ValueError(
                f"head is 'linear' and num_classes is {self.num_classes}; a linear head needs at least 1 class, so set "
                "num_classes, or choose the cosine head"
            )
        return self.num_classes

    def check_fit(self, clip: ClipConfig) -> None:
        """Check that an image tower has the layers of the TD-Adapters, and patches that the stem can match.

        Raises:
            ValueError: the layers are out of range, or padding would add patches.
        """
        last = clip.vision_layers - 1 if self.td_last_layer is None else self.td_last_layer
        if not 0 <= self.td_first_layer <= last < clip.vision_layers:
            raise ValueError(
                f"td_first_layer is {self.td_first_layer} and td_last_layer is {self.td_last_layer}, but the image "
                f"tower has layers 0 to {clip.vision_layers - 1}; choose a rising range of them"
            )
        if 2 * self.stem_padding >= clip.patch_size_pixels:
            raise ValueError(
                f"stem_padding is {self.stem_padding} and patches have {clip.patch_size_pixels} pixels, so that the "
                "stem would cut more patches than the tower; set stem_padding to 0"
            )
