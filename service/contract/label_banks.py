"""Stored label banks, ``label_banks/<label set>.safetensors`` of a bundle, written at export and read by the service.

One file a label set: ``english`` and ``chinese`` [L, D], ``words`` [N, D] of all labels one after another and
``word_counts`` [L]; the metadata says which towers, templates and word set they come from, and holds the labels.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from service.contract.errors import BundleError, DuoActError
from service.contract.files import write_whole
from service.contract.labels import Label, LabelLimits, parse_labels
from service.contract.manifest import Manifest, WordSet
from service.contract.scoring import LabelBank

FORMAT = "1"
_METADATA = "label_bank"
_ARRAYS = ("english", "chinese", "words", "word_counts")


@dataclass(frozen=True)
class BankKey:
    """Everything but the labels that an embedding depends on; a tower that is not there is None."""

    english_digest: str
    template_en: str
    word_set: WordSet
    chinese_digest: str | None = None
    template_zh: str | None = None

    @classmethod
    def of(cls, manifest: Manifest) -> "BankKey":
        """The key under which a bundle's own towers and templates embed labels."""
        chinese = manifest.chinese if manifest.has_chinese else None
        return cls(
            english_digest=manifest.english.digest,
            template_en=manifest.english.template,
            word_set=manifest.scoring.word_set,
            chinese_digest=None if chinese is None else chinese.digest,
            template_zh=None if chinese is None else chinese.template,
        )


@dataclass(frozen=True)
class StoredLabelBank:
    """A label set with its embeddings."""

    labels: tuple[Label, ...]
    bank: LabelBank
    key: BankKey


def write_label_bank(path: Path, *, labels: Sequence[Label], bank: LabelBank, key: BankKey) -> None:
    """Write a label bank; the file appears whole or not at all."""
    metadata = {
        "format": FORMAT,
        "english_digest": key.english_digest,
        "template_en": key.template_en,
        "word_set": key.word_set,
        "chinese_digest": key.chinese_digest,
        "template_zh": key.template_zh,
        "labels": [{"en": label.en, "zh": label.zh} for label in labels],
    }
    arrays = {name: getattr(bank, name) for name in _ARRAYS}
    tensors = {name: np.ascontiguousarray(array) for name, array in arrays.items() if array is not None}
    # One entry: safetensors writes several in the order of a random hash, and the file's digest must be stable.
    content = save(tensors, {_METADATA: json.dumps(metadata, ensure_ascii=False)})
    with write_whole(path) as unfinished:
        unfinished.write_bytes(content)


def read_label_bank(path: Path) -> StoredLabelBank:
    """Read a label bank.

    Raises:
        BundleError: the file is not a label bank of this format, or its arrays do not fit its labels.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = json.loads((file.metadata() or {})[_METADATA])
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
        if metadata.get("format") != FORMAT:
            raise BundleError(f"{path} has format {metadata.get('format')!r}; {FORMAT!r} is read: export it again")
        values = metadata["labels"]
        # Limits are for requests; what was exported is read whatever its size.
        limits = LabelLimits(num_labels=max(len(values), 1), num_characters=1 << 20)
        stored = StoredLabelBank(parse_labels(values, limits=limits), LabelBank(**arrays), _read_key(metadata))
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, DuoActError) as error:
        if isinstance(error, BundleError):
            raise
        raise BundleError(f"{path} is not a label bank: {error}; export the bundle again") from error
    _check_shapes(path, stored)
    return stored


def _read_key(metadata: dict[str, Any]) -> BankKey:
    return BankKey(
        english_digest=metadata["english_digest"],
        template_en=metadata["template_en"],
        word_set=metadata["word_set"],
        chinese_digest=metadata["chinese_digest"],
        template_zh=metadata["template_zh"],
    )


def _check_shapes(path: Path, stored: StoredLabelBank) -> None:
    bank, num_labels = stored.bank, len(stored.labels)
    rows = {name: len(getattr(bank, name)) for name in _ARRAYS if getattr(bank, name) is not None}
    num_words = None if bank.word_counts is None else int(bank.word_counts.sum())
    expected = {"english": num_labels, "chinese": num_labels, "word_counts": num_labels, "words": num_words}
    if wrong := {name: size for name, size in rows.items() if size != expected[name]}:
        raise BundleError(f"{path} holds {num_labels} labels, but arrays with {wrong} rows; export the bundle again")
