"""Who is asked: what the load needs of a service, whether it runs in this process or elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from service.api.schemas import Answer, LabelSetSummary
from service.bench.plan import BenchError
from service.contract.manifest import Manifest

# Where a bundle has no label set of its own: a vocabulary that is much reported on.
DEFAULT_LABEL_SET = "kinetics_400"


class RequestError(BenchError):
    """A request was refused, or had no answer."""


@dataclass(frozen=True)
class Subject:
    """What answers, and what it is asked for; ``label_set`` is None where the vocabulary is closed.

    ``url`` is None where the parts of the service run in this process.
    """

    bundle: str
    digest: str
    method: str
    backbone: str
    label_set: str | None
    num_labels: int
    url: str | None = None

    @classmethod
    def of(
        cls, manifest: Manifest, *, digest: str, label_set: LabelSetSummary | None, url: str | None = None
    ) -> "Subject":
        """Name a bundle, its manifest's SHA-256 and the label set that is asked for."""
        return cls(
            bundle=manifest.name,
            digest=digest,
            method=manifest.method,
            backbone=manifest.backbone,
            label_set=None if label_set is None else label_set.name,
            num_labels=len(manifest.classes) if label_set is None else label_set.num_labels,
            url=url,
        )


@runtime_checkable
class Target(Protocol):
    """A service that answers the one question that is measured."""

    @property
    def subject(self) -> Subject:
        """What answers."""
        ...

    async def ask(self, *, is_new: bool) -> Answer:
        """Ask about a video that the service has never seen, or about one that it has.

        Raises:
            RequestError: the request was refused, or had no answer.
        """
        ...


def choose_label_set(
    wanted: str | None, *, manifest: Manifest, stored: Sequence[LabelSetSummary]
) -> LabelSetSummary | None:
    """Choose what is asked for: the wanted label set, else the first of the bundle, else a known one.

    A closed vocabulary is asked for all of its classes: None.

    Raises:
        BenchError: there is no label set of that name, or the vocabulary is closed.
    """
    if manifest.vocabulary == "closed":
        if wanted is not None:
            raise BenchError(
                f"--label-set is {wanted!r}, but the vocabulary of {manifest.name} is closed; leave it out"
            )
        return None
    own = next((each.name for each in stored if each.source == "bundle"), DEFAULT_LABEL_SET)
    for each in stored:
        if each.name == (own if wanted is None else wanted):
            return each
    known = ", ".join(sorted(each.name for each in stored)) or "none"
    raise BenchError(f"--label-set is {wanted or own!r}, which is not stored here; known are: {known}")
