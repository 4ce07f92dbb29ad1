"""What several gateways share of their label embeddings: the store they ask, which lives beside this module."""

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from service.encoders.base import TextEmbedding
from service.labels.allowance import Allowance
from service.labels.entries import TextKey


@runtime_checkable
class SharedLabels(Protocol):
    """Embeddings that other gateways may have computed. It saves time and is never needed for an answer."""

    @property
    def lookups(self) -> Mapping[str, int]:
        """Texts asked for, by result."""
        ...

    @property
    def writes(self) -> Mapping[str, int]:
        """Texts to be stored, by result."""
        ...

    @property
    def is_up(self) -> bool:
        """Whether the store answered the last time."""
        ...

    def allow(self) -> Allowance:
        """What a new request may spend here."""
        ...

    async def read(self, keys: Sequence[TextKey], *, allowance: Allowance) -> dict[TextKey, TextEmbedding]:
        """Read what is stored of the keys; a fault costs the entries, and raises nothing."""
        ...

    async def write(self, entries: Mapping[TextKey, TextEmbedding]) -> None:
        """Store entries; a fault costs them, and raises nothing."""
        ...

    async def close(self) -> None:
        """Let go of the store."""
        ...
