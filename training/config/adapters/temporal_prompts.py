"""The adapters of Deng et al. 2024: a temporal embedding, and temporal prompts with their reparameterization."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from training.config.adapters.base import AdapterConfig

Beta = Literal["none", "mlp", "lstm", "transformer", "tada", "c3d", "r2plus1d"]
BetaLayout = Literal["grid", "line", "plane"]
GlobalPrompts = Literal["broadcast", "per_frame"]
# What the width of beta is split into: two directions, four heads, a quarter of the channels.
_BETA_DIVISORS: Mapping[str, int] = MappingProxyType({"lstm": 2, "transformer": 4, "tada": 4})


@dataclass(frozen=True, kw_only=True)
class TemporalEmbeddingConfig(AdapterConfig):
    """The paper's baseline: CLIP whose frames carry a temporal embedding (Eq. 1).

    ``tune_image_tower`` trains the image tower along.
    """

    kind: Literal["temporal_embedding"] = "temporal_embedding"
    tune_image_tower: bool = False
    method = "dual_semantic"


@dataclass(frozen=True, kw_only=True)
class TemporalPromptConfig(AdapterConfig):
    """Temporal prompts and their reparameterization (Deng et al. 2024, Eq. 8-12), beside a temporal embedding.

    ``global_prompts`` are one set that all frames share, or one set a frame. ``beta`` is the encoder of Eq. 12 (Table 3
    compares them), ``beta_width`` its inner width and ``beta_units`` the number of its units or layers;
    ``beta_layout`` is how convolutions see the prompt tokens of a frame: folded to a ``grid``, as a ``line``, or as one
    ``plane`` with the frames. ``residual`` keeps P in P + beta(P) (Table 4). ``projection_init`` starts P_cls of Eq. 8
    at the identity or at torch's default; ``zero_init_beta`` starts beta at zero, so that step 0 equals temporal
    prompts alone. ``tune_image_tower`` trains the image tower along.
    """

    kind: Literal["temporal_prompts"] = "temporal_prompts"
    num_global_prompts: int = 8
    global_prompts: GlobalPrompts = "broadcast"
    beta: Beta = "r2plus1d"
    beta_width: int = 224
    beta_units: int = 2
    beta_layout: BetaLayout = "grid"
    residual: bool = True
    projection_init: Literal["identity", "torch_default"] = "identity"
    zero_init_beta: bool = True
    tune_image_tower: bool = False
    method = "dual_semantic"

    def __post_init__(self) -> None:
        """Check the counts, and that beta does not start as a dead end."""
        for name in ("num_global_prompts", "beta_width", "beta_units"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        divisor = _BETA_DIVISORS.get(self.beta, 1)
        if self.beta_width % divisor:
            raise ValueError(
                f"beta is {self.beta!r} and beta_width is {self.beta_width}; it must be a multiple of {divisor}"
            )
        if self.beta != "none" and self.zero_init_beta and not self.residual:
            raise ValueError(
                "residual is off and zero_init_beta is on, so every prompt would start at zero; turn it off"
            )
