"""Rules by which the tests of this folder read videos whose pixels spell the frame number."""

from service.contract.decode import DecodeLimits
from service.contract.manifest import Preprocessing, Sampling
from service.contract.views import ViewRules

RULES = ViewRules(
    Preprocessing(
        input_size=64,
        resize_rule="exact",
        resize_size=(64, 64),
        interpolation="bicubic",
        crop_rule="centre",
        mean=(0.5, 0.5, 0.5),
        std=(0.25, 0.25, 0.25),
    ),
    Sampling(rule="segment_centres", num_frames=4),
    DecodeLimits(),
)
