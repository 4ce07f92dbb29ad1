"""Labels for the classes of a data set: split into words and with Chinese names, where the dictionaries know them."""

import re
from collections.abc import Iterable, Sequence
from typing import Literal, get_args

from service.contract.labels import Label, LabelTable, has_han, load_builtin_label_tables
from training.data.class_order import name_key
from training.errors import DataError

Spelling = Literal["words", "original"]
SPELLINGS: tuple[Spelling, ...] = get_args(Spelling)
# Where a word starts inside a glued name: "ApplyEyeMakeup", "YoYo", "TaiChi".
_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SEPARATORS = re.compile(r"[_+\s]+")


def name_labels(classes: Sequence[str], *, spelling: Spelling, data_set: str) -> tuple[Label, ...]:
    """Name classes in both languages; Chinese and words come from the dictionary of the data set, then from the others.

    With the spelling ``original`` English texts stay as the data set has them, as figures of published models need.

    Raises:
        DataError: two classes get the same English text; they are named.
    """
    tables = load_builtin_label_tables()
    known = _index_labels([*(tables[name] for name in (data_set,) if name in tables), *tables.values()])
    labels = tuple(_name(each, known=known, spelling=spelling) for each in classes)
    texts: dict[str, str] = {}
    for name, label in zip(classes, labels, strict=True):
        key = name_key(label.en or label.zh or "")
        if key in texts:
            raise DataError(f"classes {texts[key]!r} and {name!r} are both called {str(label)!r}; rename or remove one")
        texts[key] = name
    return labels


def split_words(name: str) -> str:
    """Write a class name as words: "ApplyEyeMakeup", "brush_hair" and "playing+music" get blanks.

    A name that has blanks already keeps its capitals.
    """
    words = _SEPARATORS.sub(" ", name).strip()
    glued = _WORD_START.sub(" ", words)
    return glued.lower() if " " not in words and glued != words else words


def _index_labels(tables: Iterable[LabelTable]) -> dict[str, Label]:
    """Find labels by the data sets' names, and failing these by their texts; the first table wins."""
    known: dict[str, Label] = {}
    by_text: dict[str, Label] = {}
    for table in tables:
        for label, original in zip(table.labels, table.originals, strict=True):
            known.setdefault(name_key(original), label)
            for text in filter(None, (label.en, label.zh)):
                by_text.setdefault(name_key(text), label)
    return {**by_text, **known}


def _name(name: str, *, known: dict[str, Label], spelling: Spelling) -> Label:
    label = known.get(name_key(name))
    if has_han(name):
        return label or Label(zh=name)
    label = label or Label(split_words(name))
    return label if spelling == "words" else Label(name, label.zh)
