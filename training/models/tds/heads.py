"""From the pooled features of a clip to what its scores are made of: a class's logit each, or a place in a space."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional


class LinearHead(nn.Module):
    """Logits of a closed set of classes, as the method was published."""

    def __init__(self, width: int, *, num_classes: int) -> None:
        """Draw the weights of one linear map."""
        super().__init__()
        self.fc = nn.Linear(width, num_classes)

    def forward(self, features: Float[Tensor, "N D"]) -> Float[Tensor, "N 1 classes"]:
        """Map every clip to logits, which are not of unit length."""
        logits: Tensor = self.fc(features)
        return logits[:, None]


class CosineHead(nn.Module):
    """A unit vector in the joint space of CLIP, to be compared with texts, so that any label can be asked for."""

    def __init__(self, width: int, *, embed_dim: int) -> None:
        """Draw the weights of one linear map into a space of ``embed_dim`` dimensions."""
        super().__init__()
        self.projection = nn.Linear(width, embed_dim)

    def forward(self, features: Float[Tensor, "N D"]) -> Float[Tensor, "N 1 E"]:
        """Map every clip to one feature."""
        return functional.normalize(self.projection(features), dim=-1)[:, None]
