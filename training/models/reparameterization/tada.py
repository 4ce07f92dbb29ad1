"""The unit of beta whose kernel adapts to every frame: TAdaConv (Huang et al. 2022)."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from training.config.adapters import BetaLayout
from training.models.reparameterization.layouts import build_conv

RATIO = 4


def build_tada_unit(width: int, layout: BetaLayout) -> nn.Sequential:
    """Build a TAdaConv unit: a spatial kernel that every frame calibrates, normalised and rectified."""
    return nn.Sequential(TAdaConv(width, layout), nn.BatchNorm3d(width), nn.ReLU())


class TAdaConv(nn.Module):
    """A 1x3x3 convolution whose kernel is W_t = alpha_t * W in frame t (Huang et al. 2022).

    alpha_t scales the kernel's input channels, which is the same as scaling those channels of frame t itself. So the
    kernel stays constant, as exported graphs need it. Over a ``plane`` every frame is scaled by its own alpha.
    """

    def __init__(self, width: int, layout: BetaLayout) -> None:
        """Build the convolution; it starts without calibration."""
        super().__init__()
        self.conv = build_conv(width, layout, depth=1)
        self.route = RouteFunction(width)

    def forward(self, volume: Float[Tensor, "B r T h w"]) -> Float[Tensor, "B r T h w"]:
        """Convolve each frame with its own kernel."""
        mixed: Tensor = self.conv(self.route(volume) * volume)
        return mixed


class RouteFunction(nn.Module):
    """The calibration alpha of each frame and channel, from the frames around it (Huang et al. 2022).

    alpha = 1 + G2(ReLU(BN(G1(v + FC(u))))) with v the mean of a frame's cells, u the mean of the clip, and G1, G2
    convolutions over 3 frames by way of a quarter of the channels.
    """

    def __init__(self, width: int) -> None:
        """Build the function; it starts at 1."""
        super().__init__()
        self.mix_clip = nn.Conv3d(width, width, 1)
        self.reduce = nn.Conv3d(width, width // RATIO, (3, 1, 1), padding=(1, 0, 0))
        self.norm = nn.BatchNorm3d(width // RATIO)
        self.expand = nn.Conv3d(width // RATIO, width, (3, 1, 1), padding=(1, 0, 0), bias=False)
        nn.init.zeros_(self.expand.weight)

    def forward(self, volume: Float[Tensor, "B r T h w"]) -> Float[Tensor, "B r T 1 1"]:
        """Return alpha."""
        frames = volume.mean((3, 4), keepdim=True)
        clip = frames.mean(2, keepdim=True)
        alpha: Tensor = 1 + self.expand(functional.relu(self.norm(self.reduce(frames + self.mix_clip(clip)))))
        return alpha
