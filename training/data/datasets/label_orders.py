"""Which public list of classes an order of names is, told by a checksum.

The checksum is SHA-256 over the names in their order, one a line, each folded to lower case without blanks and
punctuation. So it tells orders and classes apart, and not the ways to spell them; its first twelve digits are shown.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from service.contract.labels import load_builtin_label_tables
from service.contract.wording import list_some
from training.data.class_order import name_key

NUM_SHOWN = 12
_NUM_STORED = 16

# Computed from the lists that the data sets and their most used code publish.
KNOWN_ORDERS: Mapping[str, str] = MappingProxyType(
    {
        "5fadbe2d1fcb0b5f": "Kinetics-400 in its standard order",
        "0445b54e921ffe93": "the base classes of Kinetics-400 in ViFi-CLIP's order",
        "8b64bf73a0f61087": "the novel classes of Kinetics-400 in ViFi-CLIP's order",
        "09967ab3ffc0b617": "Kinetics-600 in its standard order",
        "c85e903af7ff3028": "the first 160 zero-shot classes of Kinetics-600 (Chen and Huang 2021)",
        "0f39059f0cf5550b": "the second 160 zero-shot classes of Kinetics-600 (Chen and Huang 2021)",
        "8d9ec7cc4976be8e": "the third 160 zero-shot classes of Kinetics-600 (Chen and Huang 2021)",
        "931e1b214588d1d7": "Kinetics-700 in its standard order",
        "60bddf40434f0b89": "Kinetics-710 in its usual order",
        "0f26c4be54634b54": "HMDB51 in its standard order",
        "061fbda85e8fab98": "HMDB51 with kick and kick ball, sword and sword exercise exchanged, as in "
        "some published files and not in others",
        "3618d0ad497553d0": "the base classes of HMDB51 in the order of ViFi-CLIP's table",
        "4d5041273de4b1ef": "the novel classes of HMDB51 in the order of ViFi-CLIP's table",
        "ba5efe3c836f22f5": "UCF101 in its standard order",
        "162e26ab88861c0a": "the base classes of UCF101 in ViFi-CLIP's order",
        "7214e4403f5331f5": "the novel classes of UCF101 in ViFi-CLIP's order",
        "e37a01119c26c3ee": "Something-Something v1 in its own order",
        "3645bdaa2faffa3c": "Something-Something v2 in its standard order",
        "a9d826d16ade13af": "Something-Something v2 in its standard order with shortened names",
        "0536f9a65a74805b": "the base classes of Something-Something v2 in ViFi-CLIP's order",
        "e138e4f88ee4a0ea": "the novel classes of Something-Something v2 in ViFi-CLIP's order",
        "678ac3bf1d31bec4": "Moments in Time (339 classes) in its standard order",
        "d8fdf4efd21f719a": "ActivityNet-200 in its usual order",
        "c413b1d94bcbdbfe": "Diving48 in its usual order",
        "3940cb50497250de": "FineGym99 in its usual order, in which one name stands twice",
        "aeb1106794eed994": "Jester in its usual order",
        "0e67dd6ee2eb0880": "the 60 classes of AVA that are evaluated",
        "b05fac1b2e0d58be": "MultiSports in its usual order",
        "cf74eac2b786273c": "NTU RGB+D 60 in its usual order",
    }
)


@dataclass(frozen=True)
class LabelOrder:
    """An order of class names: its checksum, which public one it is, and what is unusual about it."""

    checksum: str
    num_labels: int
    known: str | None
    notes: tuple[str, ...]

    @property
    def short(self) -> str:
        """The first digits of the checksum."""
        return self.checksum[:NUM_SHOWN]

    def __str__(self) -> str:
        known = self.known or "no order that is known here"
        return "; ".join((f"{self.num_labels} labels, order {self.short}: {known}", *self.notes))


def order_checksum(names: Sequence[str]) -> str:
    """Digest names in their order, as 64 hexadecimal digits."""
    return hashlib.sha256("\n".join(map(name_key, names)).encode()).hexdigest()


def describe_order(names: Sequence[str]) -> LabelOrder:
    """Find out which public order names are in; the built-in dictionaries tell more about those that they hold."""
    checksum = order_checksum(names)
    known = KNOWN_ORDERS.get(checksum[:_NUM_STORED])
    notes = []
    for data_set, originals in _dictionary_orders().items():
        same_order = order_checksum(originals) == checksum
        if same_order:
            known = known or f"{data_set} in the order of its dictionary"
            notes += _describe_spelling(names, originals)
            break
        if sorted(map(name_key, names)) == sorted(map(name_key, originals)) and known is None:
            moved = [
                i for i, pair in enumerate(zip(names, originals, strict=True)) if len(set(map(name_key, pair))) > 1
            ]
            notes.append(f"the classes of {data_set}, {len(moved)} of them at other places, from {moved[0]} on")
    return LabelOrder(checksum, len(names), known, tuple(notes))


def _dictionary_orders() -> dict[str, tuple[str, ...]]:
    return {name: table.originals for name, table in load_builtin_label_tables().items()}


def _describe_spelling(names: Sequence[str], originals: Sequence[str]) -> list[str]:
    """Say which names are spelled otherwise than by the data set, blanks for underscores aside."""
    odd = [
        f"{name!r} for {original!r}"
        for name, original in zip(names, originals, strict=True)
        if name.replace("_", " ") != original.replace("_", " ")
    ]
    if not odd:
        return []
    return [
        f"{len(odd)} of {len(names)} names are spelled otherwise than by the data set: {list_some(odd, num_named=3)}"
    ]
