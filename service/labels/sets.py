"""Named vocabularies: those of the bundle and those that ship with DuoAct, and the dictionary they make together."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Literal

from service.contract.errors import NotFoundError
from service.contract.labels import Label, LabelDictionary, LabelTable, Language

LANGUAGES: tuple[Language, ...] = ("en", "zh")


@dataclass(frozen=True)
class LabelSet:
    """A named list of labels and where it comes from."""

    name: str
    labels: tuple[Label, ...]
    source: Literal["bundle", "built-in"]

    @property
    def languages(self) -> tuple[Language, ...]:
        """The languages in which every label has a text."""
        return tuple(language for language in LANGUAGES if all(label.text(language) for label in self.labels))


class LabelSets:
    """All label sets by name; one of the bundle hides a built-in one of the same name."""

    def __init__(self, *, bundle: Mapping[str, tuple[Label, ...]], builtin: Mapping[str, LabelTable]) -> None:
        self._sets = {name: LabelSet(name, table.labels, "built-in") for name, table in builtin.items()}
        self._sets |= {name: LabelSet(name, labels, "bundle") for name, labels in bundle.items()}
        # The bundle's own translations come first: the first of several counterparts wins.
        own = LabelDictionary.of(chain(*bundle.values()))
        self.dictionary = LabelDictionary.joined([own, *(table.dictionary for table in builtin.values())])

    def all(self) -> tuple[LabelSet, ...]:
        """Every label set, those of the bundle first, then in the order of their names."""
        return tuple(sorted(self._sets.values(), key=lambda each: (each.source != "bundle", each.name)))

    def find(self, name: str) -> LabelSet:
        """Find a label set.

        Raises:
            NotFoundError: no such name; the message lists those there are.
        """
        if name not in self._sets:
            known = ", ".join(sorted(self._sets)) or "none"
            raise NotFoundError(f"label set {name[:64]!r} is not stored here; known are: {known}")
        return self._sets[name]
