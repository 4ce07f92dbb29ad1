"""Stored label banks survive the way to disk and back, and broken ones are named."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from service.contract.errors import BundleError
from service.contract.label_banks import BankKey, read_label_bank, write_label_bank
from service.contract.manifest import Manifest
from service.contract.scoring import LabelBank
from tests.bundles import ENGLISH_ONLY, SHAPES, TEMPLATE_EN, TEMPLATE_ZH, manifest_fields, shapes_bank

KEY = BankKey("a" * 64, TEMPLATE_EN, "label", "b" * 64, TEMPLATE_ZH)
METADATA = {
    "format": "1",
    "english_digest": "a" * 64,
    "template_en": TEMPLATE_EN,
    "word_set": "label",
    "chinese_digest": None,
    "template_zh": None,
    "labels": [{"en": "run", "zh": None}],
}
MISSING = object()


def save_bank(path: Path, arrays: dict[str, Any], metadata: dict[str, Any]) -> None:
    save_file(arrays, path, {"label_bank": json.dumps(metadata)})


@pytest.mark.parametrize(
    ("bank", "key"),
    [
        (shapes_bank(), KEY),
        (LabelBank(chinese=np.ones((3, 16), np.float32)), KEY),
        (LabelBank(english=np.ones((3, 16), np.float32)), BankKey("a" * 64, "{}", "sentence")),
    ],
)
def test_bank_comes_back_as_it_was_written(tmp_path: Path, bank: LabelBank, key: BankKey) -> None:
    path = tmp_path / "shapes.safetensors"
    write_label_bank(path, labels=SHAPES, bank=bank, key=key)
    stored = read_label_bank(path)
    assert (stored.labels, stored.key) == (SHAPES, key)
    for name, array in vars(bank).items():
        np.testing.assert_array_equal(getattr(stored.bank, name), array)
    assert list(tmp_path.iterdir()) == [path]


def test_key_of_a_bundle_names_the_towers_that_are_used() -> None:
    bilingual = Manifest.model_validate(manifest_fields())
    assert BankKey.of(bilingual) == KEY
    english = Manifest.model_validate(manifest_fields(**ENGLISH_ONLY))
    assert BankKey.of(english) == BankKey("a" * 64, TEMPLATE_EN, "label")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "9"}, "has format '9'; '1' is read"),
        ({"labels": "run"}, "labels must be a list"),
        ({"labels": []}, "the label list is empty"),
        ({"labels": 3}, "is not a label bank"),
        ({"labels": ["run", "jump"]}, r"holds 2 labels, but arrays with {'english': 1} rows"),
        ({"word_set": MISSING}, "is not a label bank: 'word_set'"),
    ],
)
def test_broken_metadata_is_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    metadata = {key: value for key, value in {**METADATA, **change}.items() if value is not MISSING}
    save_bank(tmp_path / "x.safetensors", {"english": np.ones((1, 16), np.float32)}, metadata)
    with pytest.raises(BundleError, match=message):
        read_label_bank(tmp_path / "x.safetensors")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"english": (2, 16)}, "'english': 2"),
        ({"words": (2, 16), "word_counts": (1,)}, "'words': 2"),
        ({"words": (2, 16)}, "'words': 2"),
        ({"unknown": (1,)}, "unexpected keyword argument 'unknown'"),
    ],
)
def test_arrays_must_fit_the_labels(tmp_path: Path, arrays: dict[str, tuple[int, ...]], message: str) -> None:
    tensors = {
        name: np.ones(shape, np.int64 if name == "word_counts" else np.float32) for name, shape in arrays.items()
    }
    save_bank(tmp_path / "x.safetensors", tensors, METADATA)
    with pytest.raises(BundleError, match=message):
        read_label_bank(tmp_path / "x.safetensors")


@pytest.mark.parametrize("content", [None, b"", b"no safetensors"])
def test_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "x.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BundleError, match=r"x.safetensors is not a label bank: .*; export the bundle again"):
        read_label_bank(path)


def test_same_bank_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    for path in (first, second):
        write_label_bank(path, labels=SHAPES, bank=shapes_bank(), key=KEY)
    assert first.read_bytes() == second.read_bytes()


def test_file_without_metadata_is_no_label_bank(tmp_path: Path) -> None:
    save_file({"english": np.ones((1, 16), np.float32)}, tmp_path / "x.safetensors")
    with pytest.raises(BundleError, match="is not a label bank: 'label_bank'"):
        read_label_bank(tmp_path / "x.safetensors")
