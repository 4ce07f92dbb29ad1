"""Labels in two languages: reading them from a request, their counterparts, and which languages a request can use."""

import csv
import re
import unicodedata
from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, cached_property
from io import StringIO
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from service.contract.errors import LabelError, MalformedRequestError
from service.contract.texts import TextEncodingError, decode_text
from service.contract.wording import shorten

Language = Literal["en", "zh"]

# Unified ideographs with extensions A to H, compatibility ideographs, and the iteration mark.
_HAN = re.compile(r"[\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af]")
_DICTIONARIES = Path(__file__).parent / "data" / "labels"
_COLUMNS = ["id", "en", "zh", "original"]


@dataclass(frozen=True)
class Label:
    """An action's name in English, in Chinese, or in both; at least one is given."""

    en: str | None = None
    zh: str | None = None

    def __post_init__(self) -> None:
        if self.en is None and self.zh is None:
            raise LabelError("a label has neither English nor Chinese text; give at least one")

    def text(self, language: Language) -> str | None:
        """The label's text in one language, or None."""
        return self.en if language == "en" else self.zh

    def __str__(self) -> str:
        return " / ".join(text for text in (self.en, self.zh) if text is not None)


@dataclass(frozen=True)
class LabelLimits:
    """How many labels a request may hold and how long each text may be, in characters."""

    num_labels: int = 10_000
    num_characters: int = 256


def has_han(text: str) -> bool:
    """Whether a text contains a Han character, which makes a plain label Chinese."""
    return _HAN.search(text) is not None


def text_key(text: str) -> str:
    """The form under which two texts are the same label: NFKC, case-folded."""
    return unicodedata.normalize("NFKC", text).casefold()


def clean_text(text: str, *, limits: LabelLimits) -> str:
    """Normalise a label's text: NFC, white space collapsed to single spaces.

    Raises:
        LabelError: the text is empty, overlong, or holds control characters or lone surrogates.
    """
    if len(text) > limits.num_characters:
        raise LabelError(
            f"label {text[:24]!r}... has {len(text)} characters; at most {limits.num_characters} are allowed: shorten"
        )
    cleaned = " ".join(unicodedata.normalize("NFC", text).split())
    if not cleaned:
        raise LabelError(f"label {shorten(text)} is empty; give it a text or remove it")
    if any(unicodedata.category(c) in ("Cc", "Cs") for c in cleaned):
        raise LabelError(f"label {shorten(cleaned)} holds control characters or broken surrogates; remove them")
    return cleaned


def parse_label(value: object, *, limits: LabelLimits) -> Label:
    """Read one label: a plain string (Chinese if it has Han characters), or an object with ``en`` and / or ``zh``.

    Raises:
        MalformedRequestError: another JSON type, another key, or a text that is not a string.
        LabelError: see ``clean_text``.
    """
    if isinstance(value, str):
        text = clean_text(value, limits=limits)
        return Label(zh=text) if has_han(text) else Label(en=text)
    if not isinstance(value, Mapping):
        raise MalformedRequestError(f"label {shorten(value)} must be a string or an object with 'en' and 'zh'")
    if unknown := sorted(set(map(str, value)) - {"en", "zh"}):
        raise MalformedRequestError(
            f"label {shorten(dict(value))} has unknown keys {shorten(unknown)}; 'en' and 'zh' are allowed"
        )
    texts = {}
    for language, text in value.items():
        if text is not None and not isinstance(text, str):
            raise MalformedRequestError(
                f"label {shorten(dict(value))}: {language!r} must be a string, not {shorten(text)}"
            )
        texts[language] = None if text is None else clean_text(text, limits=limits)
    return Label(**texts)


def parse_labels(values: object, *, limits: LabelLimits) -> tuple[Label, ...]:
    """Read a list of labels in order.

    Raises:
        MalformedRequestError: not a list, or an element of the wrong shape.
        LabelError: an empty list, too many labels, a bad text, or a repeated label (both positions are named).
    """
    if not isinstance(values, Sequence) or isinstance(values, str | bytes):
        raise MalformedRequestError(f"labels must be a list of strings or objects, not {type(values).__name__}")
    if not values:
        raise LabelError("the label list is empty; give at least one label")
    if len(values) > limits.num_labels:
        raise LabelError(f"{len(values)} labels were given; at most {limits.num_labels} are allowed in one request")
    labels = tuple(parse_label(value, limits=limits) for value in values)
    reject_repeats(labels)
    return labels


def reject_repeats(labels: Iterable[Label]) -> None:
    """Refuse two labels with the same English text or, where English is absent, the same Chinese text.

    Raises:
        LabelError: names the label and both positions, counted from 1.
    """
    seen: dict[tuple[str, str], int] = {}
    for position, label in enumerate(labels, start=1):
        key = ("en", text_key(label.en)) if label.en is not None else ("zh", text_key(label.zh or ""))
        if key in seen:
            raise LabelError(f"label {shorten(str(label))} is given twice, at {seen[key]} and {position}; remove one")
        seen[key] = position


@dataclass(frozen=True)
class LabelDictionary:
    """Known counterparts between the languages; lookups ignore case and character width."""

    zh_of: Mapping[str, str] = field(default_factory=dict)
    en_of: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, labels: Iterable[Label]) -> "LabelDictionary":
        """Build a dictionary from labels that have both languages; the first of several counterparts wins."""
        zh_of: dict[str, str] = {}
        en_of: dict[str, str] = {}
        for label in labels:
            if label.en is not None and label.zh is not None:
                zh_of.setdefault(text_key(label.en), label.zh)
                en_of.setdefault(text_key(label.zh), label.en)
        return cls(zh_of, en_of)

    @classmethod
    def joined(cls, dictionaries: Sequence["LabelDictionary"]) -> "LabelDictionary":
        """Look up in several dictionaries, of which the first that knows a text wins; nothing is copied."""
        zh_of, en_of = ([getattr(each, name) for each in dictionaries] for name in ("zh_of", "en_of"))
        return cls(ChainMap(*zh_of), ChainMap(*en_of))

    def complete(self, label: Label) -> Label:
        """Add the language that a label lacks, where it is known."""
        if label.zh is None and label.en is not None:
            return Label(label.en, self.zh_of.get(text_key(label.en)))
        if label.en is None and label.zh is not None:
            return Label(self.en_of.get(text_key(label.zh)), label.zh)
        return label


@dataclass(frozen=True)
class LabelTable:
    """The labels of a file in order, and what their data set itself calls each, such as "ApplyEyeMakeup"."""

    labels: tuple[Label, ...]
    originals: tuple[str, ...]

    @cached_property
    def dictionary(self) -> LabelDictionary:
        """What finds a label by its texts and by its original name."""
        return LabelDictionary.of(self._entries())

    def _entries(self) -> Iterator[Label]:
        yield from self.labels
        for label, original in zip(self.labels, self.originals, strict=True):
            if label.en is not None:
                yield Label(original, label.zh)


def read_label_table(path: Path) -> LabelTable:
    """Read a label CSV with the header ``id,en,zh`` or ``id,en,zh,original``; ids count from 0.

    An empty cell is an absent language; a label without an original name is called by its own text. Blanks around cells
    and empty lines at the end do not count.

    Raises:
        LabelError: another encoding than UTF-8, another header, an id out of order, a row of another length, or a bad
            or repeated label or original name; the message names file and line.
    """
    header, *rows = _read_rows(path) or [[]]
    if header not in (_COLUMNS[:3], _COLUMNS):
        raise LabelError(
            f"{path.name} must start with the header 'id,en,zh' or 'id,en,zh,original', not {','.join(header)!r}"
        )
    labels: list[Label] = []
    originals: list[str] = []
    for index, row in enumerate(rows):
        place = f"{path.name} line {index + 2}"
        _check_row(row, header=header, index=index, earlier=labels, place=place)
        with _naming(place):
            label = parse_label({"en": row[1] or None, "zh": row[2] or None}, limits=LabelLimits())
            originals.append(clean_text("".join(row[3:]) or label.en or label.zh or "", limits=LabelLimits()))
        labels.append(label)
    with _naming(path.name):
        reject_repeats(labels)
        if header == _COLUMNS:
            reject_repeats(map(Label, originals))
    return LabelTable(tuple(labels), tuple(originals))


def read_label_file(path: Path) -> tuple[Label, ...]:
    """Read the labels of a label CSV alone; see ``read_label_table``."""
    return read_label_table(path).labels


def _read_rows(path: Path) -> list[list[str]]:
    try:
        text = decode_text(path.read_bytes(), name=path.name)
    except TextEncodingError as error:
        raise LabelError(str(error)) from error
    rows = [[cell.strip() for cell in row] for row in csv.reader(StringIO(text, newline=""))]
    while rows and not any(rows[-1]):
        rows.pop()
    return rows


def _check_row(row: Sequence[str], *, header: Sequence[str], index: int, earlier: Sequence[Label], place: str) -> None:
    if len(row) == len(header) and row[0] == str(index):
        return
    expected = f"expected id {index}, {', '.join(header[1:])}"
    if row and row[0].isdecimal() and int(row[0]) < index:
        raise LabelError(f"{place} is {row}, which repeats the id of {str(earlier[int(row[0])])!r}; {expected}")
    raise LabelError(f"{place} is {row}; {expected}")


@contextmanager
def _naming(place: str) -> Iterator[None]:
    """Put the place of a faulty label in front of the message."""
    try:
        yield
    except LabelError as error:
        raise LabelError(f"{place}: {error}") from error


@cache
def load_builtin_label_tables() -> Mapping[str, LabelTable]:
    """Load the label dictionaries that ship with DuoAct, by data-set name, once a process."""
    tables = {path.stem: read_label_table(path) for path in sorted(_DICTIONARIES.glob("*.csv"))}
    return MappingProxyType(tables)


def load_builtin_label_sets() -> dict[str, tuple[Label, ...]]:
    """Load the labels of the dictionaries that ship with DuoAct, by data-set name."""
    return {name: table.labels for name, table in load_builtin_label_tables().items()}
