"""Named vocabularies: those of the bundle and those that ship with DuoAct, and the dictionary they make together."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Literal

from service.contract.errors import NotFoundError
from service.contract.labels import Label, LabelDictionary, Language

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

    def __init__(self, *, bundle: Mapping[str, tuple[Label, ...]], builtin: Mapping[str, tuple[Label, ...]]) -> None:
        self._sets = {name: LabelSet(name, labels, "built-in") for name, labels in builtin.items()}
        self._sets |= {name: LabelSet(name, labels, "bundle") for name, labels in bundle.items()}
        # The bundle's own translations come first: the first of several counterparts wins.
        self.dictionary = LabelDictionary.of(chain(*bundle.values(), *builtin.values()))

    def all(self) -> tuple[LabelSet, ...]:
        """Every label set in the order of its name."""
        return tuple(self._sets[name] for name in sorted(self._sets))

    def find(self, name: str) -> LabelSet:
        """Find a label set.

        Raises:
            NotFoundError: no such name; the message lists those there are.
        """
        if name not in self._sets:
            known = ", ".join(sorted(self._sets)) or "none"
            raise NotFoundError(f"label set {name[:64]!r} is not stored here; known are: {known}")
        return self._sets[name]
