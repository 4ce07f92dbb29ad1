"""A tiny bundle for tests: a valid manifest with stand-in files, since fakes never read the graphs."""

from pathlib import Path
from typing import Any

import numpy as np

from service.contract.label_banks import BankKey, write_label_bank
from service.contract.labels import Label
from service.contract.manifest import Manifest, file_digest, render_manifest
from service.contract.scoring import LabelBank
from tests.encoders import DIMENSION, unit_vector

TEMPLATE_EN, TEMPLATE_ZH = "a video of {}", "{}的视频"
SHAPES = (Label("moving left", "向左移动"), Label("moving right", "向右移动"), Label("growing", None))


def manifest_fields(**changes: object) -> dict[str, Any]:
    """A valid manifest's fields, some of them changed."""
    tower = {"max_length": 77, "trained": True}
    return {
        "format_version": 1,
        "name": "fake",
        "method": "dual_semantic",
        "backbone": "tiny",
        "vocabulary": "open",
        "joint_dimension": DIMENSION,
        "num_frame_features": 4,
        "preprocessing": {
            "input_size": 8,
            "resize_rule": "short_side",
            "resize_size": 8,
            "interpolation": "bicubic",
            "crop_rule": "centre",
            "mean": (0.5, 0.5, 0.5),
            "std": (0.5, 0.5, 0.5),
        },
        "sampling": {"rule": "segment_centres", "num_frames": 4},
        "english": {**tower, "digest": "a" * 64, "template": TEMPLATE_EN},
        "chinese": {**tower, "digest": "b" * 64, "template": TEMPLATE_ZH},
        "scoring": {
            "aggregation": "word_weighted",
            "word_set": "label",
            "renormalise": True,
            "tau": 0.1,
            "fusion": {"value": 0.5, "chosen": "by hand"},
        },
        "files": {},
        "provenance": {
            "recipe": "none",
            "config": {},
            "training_data": {},
            "metrics": (),
            "package_versions": {},
            "git_commit": None,
        },
        **changes,
    }


ENGLISH_ONLY: dict[str, Any] = {
    "chinese": None,
    "scoring": {**manifest_fields()["scoring"], "fusion": {"value": 1.0, "chosen": "no Chinese branch"}},
}
# A model that averages its frames inside, as fine-tuned CLIP does.
POOLED: dict[str, Any] = {
    "method": "vificlip",
    "num_frame_features": 1,
    "chinese": None,
    "scoring": {**ENGLISH_ONLY["scoring"], "aggregation": "mean", "renormalise": False},
}
# A classifier of windows of frames.
CLASSIFIER: dict[str, Any] = {
    **ENGLISH_ONLY,
    "method": "tds",
    "num_frame_features": 1,
    "sampling": {"rule": "rounded_segments", "num_frames": 4, "num_local_frames": 5},
    "vocabulary": "closed",
    "classes": (
        {"en": "moving left", "zh": "向左移动"},
        {"en": "moving right", "zh": "向右移动"},
        {"en": "growing", "zh": "变大"},
    ),
}


def write_bundle(directory: Path, **changes: object) -> Path:
    """Write a bundle with one stored label set, ``shapes``."""
    banks = directory / "label_banks"
    banks.mkdir(parents=True)
    manifest = Manifest.model_validate(manifest_fields(**changes))
    write_label_bank(banks / "shapes.safetensors", labels=SHAPES, bank=shapes_bank(), key=BankKey.of(manifest))
    digest = file_digest(banks / "shapes.safetensors")
    fields = manifest_fields(
        **{"label_sets": ("shapes",), "files": {"label_banks/shapes.safetensors": digest}, **changes}
    )
    (directory / "bundle.json").write_text(render_manifest(Manifest.model_validate(fields)), encoding="utf-8")
    return directory


def shapes_bank() -> LabelBank:
    """What the fake text encoders give for the stored label set; a missing text has an arbitrary row."""
    words = [[unit_vector(word) for word in (label.en or "").split()] for label in SHAPES]
    return LabelBank(
        english=np.stack([unit_vector(TEMPLATE_EN.format(label.en)) for label in SHAPES]),
        chinese=np.stack([unit_vector(TEMPLATE_ZH.format(label.zh)) for label in SHAPES]),
        words=np.concatenate([np.stack(own) for own in words]),
        word_counts=np.array([len(own) for own in words]),
    )
