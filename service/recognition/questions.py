"""What is asked: a video on the service's disk, and a question about it."""

from dataclasses import dataclass, field

from service.contract.labels import Label
from service.contract.views import ViewPlan


@dataclass(frozen=True)
class StoredVideo:
    """A video on the service's disk, open for reading while it is asked about; ``video_id`` is the SHA-256 of it."""

    descriptor: int
    video_id: str


@dataclass(frozen=True)
class Question:
    """What is asked about a video; ``fusion_lambda`` and ``template`` are the bundle's where they are None.

    Where a bundle's vocabulary is closed, its classes are asked for by name, and neither of the two can be chosen.
    """

    labels: tuple[Label, ...]
    plan: ViewPlan = field(default_factory=ViewPlan)
    top_k: int = 5
    fusion_lambda: float | None = None
    template: str | None = None
    strict: bool = False
    explain: bool = False
