"""Rules by which the tests of this folder read videos whose pixels spell the frame number."""

from service.contract.decode import DecodeLimits
from service.contract.manifest import Sampling
from service.contract.views import ViewRules
from tests.videos import PREPROCESSING

RULES = ViewRules(
    PREPROCESSING,
    Sampling(rule="segment_centres", num_frames=4),
    DecodeLimits(),
)
