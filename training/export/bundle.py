"""From a model in memory to a bundle on disk: built beside its place, verified, and only then put there."""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from service.contract.errors import BundleError
from service.contract.golden import write_golden
from service.contract.graphs import graph_specs
from service.contract.label_banks import BankKey, write_label_bank
from service.contract.labels import Label
from service.contract.layout import (
    GOLDEN_NAME,
    MANIFEST_NAME,
    GraphFormat,
    config_file,
    graph_file,
    label_bank_file,
    tokenizer_file,
)
from service.contract.manifest import Lambda, Manifest, Provenance, Sections, file_digest, render_manifest
from training.export.description import describe_model
from training.export.golden import compute_golden
from training.export.graphs import tower
from training.export.onnx import export_onnx
from training.export.torchscript import export_torchscript
from training.export.triton import render_triton_config
from training.export.verify import EXACT, summarise_precisions, verify_bundle
from training.models.label_bank import embed_labels
from training.models.video_clip import Tokenizers, VideoCLIP

_EXPORTERS = {"onnx": export_onnx, "torchscript": export_torchscript}


def export_bundle(
    model: VideoCLIP,
    out: Path,
    *,
    name: str,
    label_sets: Mapping[str, Sequence[Label]],
    fusion: Lambda,
    provenance: Provenance,
    chinese_trained: bool = True,
    format: GraphFormat = "onnx",
) -> Path:
    """Write a model as a bundle and prove that it answers as the model does.

    A bundle that is already at ``out`` stays until the new one is complete and verified. A learned temperature becomes
    the tau of the bundle, and of the model's config.

    Args:
        model: a model with tokenizers, on the CPU.
        out: the bundle's folder.
        name: the bundle's name.
        label_sets: named label lists to embed in advance.
        fusion: the weight of English and how it was chosen.
        provenance: where the weights come from; the exporter's package versions are added.
        chinese_trained: whether the Chinese branch agrees with the video tower.
        format: the graphs' format.

    Raises:
        BundleError: ``out`` holds something else than a bundle, or the bundle does not answer as the model does.
        ValueError: the model has no tokenizers, or the parts of the manifest contradict each other.
    """
    if model.tokenizers is None:
        raise ValueError("the model has no tokenizers, and a bundle needs them; build the model with tokenizers")
    model.adopt_temperature()
    manifest = describe_model(
        model,
        model.tokenizers,
        name=name,
        label_sets=tuple(label_sets),
        fusion=fusion,
        provenance=provenance,
        chinese_trained=chinese_trained,
    )
    with replacing_bundle(out) as folder:
        _write_graphs(folder, model=model, manifest=manifest, graph_format=format)
        _write_tokenizers(folder, model.tokenizers)
        _write_label_banks(folder, model=model, manifest=manifest, label_sets=label_sets)
        labels = [label for labels in label_sets.values() for label in labels]
        vectors = compute_golden(model, tokenizers=model.tokenizers, manifest=manifest, labels=labels)
        write_golden(folder / GOLDEN_NAME, vectors)
        write_manifest(folder, manifest)
        # Whether another precision than f32 is near enough is no fault of the files: the service is told.
        records = verify_bundle(folder, model=model, judged=EXACT)
        # Writing takes the digests of all files again, which is spared where there is nothing to say.
        if measured := summarise_precisions(records):
            write_manifest(folder, manifest.model_copy(update={"sections": Sections(precisions=measured)}))
    return out


@contextmanager
def replacing_bundle(out: Path) -> Iterator[Path]:
    """Give a new folder beside ``out`` that takes its place at exit, or vanishes if anything fails."""
    if out.exists() and not (out / MANIFEST_NAME).is_file():
        raise BundleError(f"{out} exists and is not a bundle: it has no {MANIFEST_NAME}; choose another folder")
    out.parent.mkdir(parents=True, exist_ok=True)
    new, old = (out.with_name(f".{out.name}.{os.getpid()}.{state}") for state in ("new", "old"))
    new.mkdir()
    try:
        yield new
        if out.exists():
            out.rename(old)
        new.rename(out)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _write_graphs(folder: Path, *, model: VideoCLIP, manifest: Manifest, graph_format: GraphFormat) -> None:
    for spec in graph_specs(manifest):
        path = folder / graph_file(spec.name, graph_format)
        path.parent.mkdir(parents=True)
        _EXPORTERS[graph_format](tower(model, spec.name), path, spec=spec)
        config = render_triton_config(spec, graph_format=graph_format)
        (folder / config_file(spec.name)).write_text(config, encoding="utf-8")


def _write_tokenizers(folder: Path, tokenizers: Tokenizers) -> None:
    (folder / tokenizer_file("en")).write_text(tokenizers.english.to_json(), encoding="utf-8")
    if tokenizers.chinese is not None:
        (folder / tokenizer_file("zh")).write_text(tokenizers.chinese.to_json(), encoding="utf-8")


def _write_label_banks(
    folder: Path, *, model: VideoCLIP, manifest: Manifest, label_sets: Mapping[str, Sequence[Label]]
) -> None:
    for name, labels in label_sets.items():
        path = folder / label_bank_file(name)
        path.parent.mkdir(exist_ok=True)
        bank = embed_labels(model, labels, with_chinese=manifest.has_chinese)
        write_label_bank(path, labels=labels, bank=bank, key=BankKey.of(manifest))


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest of a folder, with the digests of the files that are there now."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST_NAME)
    files = {path.relative_to(folder).as_posix(): file_digest(path) for path in paths}
    text = render_manifest(manifest.model_copy(update={"files": files}))
    (folder / MANIFEST_NAME).write_text(text, encoding="utf-8")
