import io
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from safetensors.numpy import load_file, save_file

from service.contract.errors import BundleError
from service.contract.manifest import file_digest, open_bundle, render_manifest
from tests.training.export.miniature import build_miniature
from training.export.engines import cpu_has_bf16
from training.export.verify import NO_BF16, Record, measure_distance, render_records, verify_bundle
from training.models.video_clip import VideoCLIP

VIDEO_CASES = ["golden", "batch 1", "batch 3"]
ENGLISH_CASES = ["golden", "batch 1", "batch 3", "lengths 3 to 32", "padded to 32"]
CHINESE_CASES = ["golden", "batch 1", "batch 3", "lengths 3 to 12", "padded to 12"]
CASES = {"video_encoder": VIDEO_CASES, "text_encoder_en": ENGLISH_CASES, "text_encoder_zh": CHINESE_CASES}


def expected_rows(reference: str, *engines: str) -> list[tuple[str, str, str]]:
    """Every engine on every case, but the reference not on what it answered itself."""
    return [
        (graph, engine, case)
        for graph, cases in CASES.items()
        for engine in (reference, *engines)
        for case in cases
        if engine != reference or case.startswith(("golden", "padded"))
    ]


def rows(records: list[Record]) -> list[tuple[str, str, str]]:
    return [(record.graph, record.engine, record.case) for record in records if not record.note]


def test_every_engine_is_compared_on_every_case(bundle: Path, model: VideoCLIP) -> None:
    records = verify_bundle(bundle, model=model)
    engines = ["ONNX Runtime", "OpenVINO f32", *(["OpenVINO bf16"] if cpu_has_bf16() else [])]
    assert rows(records) == expected_rows("torch", *engines)
    assert max(record.max_difference for record in records if record.precision == "f32") < 1e-5


def test_bundle_alone_is_compared_with_its_golden_vectors(bundle: Path) -> None:
    records = verify_bundle(bundle)
    assert {record.engine for record in records} == {"ONNX Runtime", "OpenVINO f32", "OpenVINO bf16"}


def test_torchscript_bundle_is_compared(script_bundle: Path, model: VideoCLIP) -> None:
    assert rows(verify_bundle(script_bundle, model=model)) == expected_rows("torch", "TorchScript")


def test_all_lengths_and_some_paddings_are_run(script_bundle: Path, model: VideoCLIP) -> None:
    runs = {(record.graph, record.case): record.num_runs for record in verify_bundle(script_bundle, model=model)}
    assert runs["text_encoder_en", "lengths 3 to 32"] == 30
    assert runs["text_encoder_en", "padded to 32"] == 8
    assert runs["text_encoder_zh", "lengths 3 to 12"] == 10


def test_bf16_without_hardware_is_reported_and_not_claimed(bundle: Path) -> None:
    notes = [record.note for record in verify_bundle(bundle) if record.engine == "OpenVINO bf16"]
    assert set(notes) == ({""} if cpu_has_bf16() else {NO_BF16})


def test_another_model_is_told_apart(script_bundle: Path) -> None:
    other = build_miniature()
    other.video.visual.proj.data *= -1
    with pytest.raises(
        BundleError, match=r"video_encoder on torch, golden: .* smallest cosine -1\.0.*difference 0\.0001"
    ):
        verify_bundle(script_bundle, model=other)


def alter_golden(bundle: Path, copy: Path, *, key: str, change: Callable[[np.ndarray], np.ndarray]) -> Path:
    """Copy a bundle with one golden array changed, and a manifest that agrees."""
    shutil.copytree(bundle, copy)
    path = copy / "golden.safetensors"
    golden = load_file(path)
    save_file({**golden, key: change(golden[key])}, path)
    manifest = open_bundle(bundle).manifest
    files = {**manifest.files, path.name: file_digest(path)}
    (copy / "bundle.json").write_text(render_manifest(manifest.model_copy(update={"files": files})), encoding="utf-8")
    return copy


@pytest.mark.parametrize(
    ("key", "graph"),
    [("frame_features", "video_encoder"), ("words", "text_encoder_en"), ("embedding_zh", "text_encoder_zh")],
)
def test_engine_that_differs_is_named(script_bundle: Path, tmp_path: Path, key: str, graph: str) -> None:
    copy = alter_golden(script_bundle, tmp_path / "b", key=key, change=lambda array: array + np.float32(2e-3))
    with pytest.raises(BundleError, match=rf"{graph} on TorchScript, golden: largest difference 2\.0\de-03, smallest"):
        verify_bundle(copy)


def test_not_a_number_never_passes() -> None:
    nan = float("nan")
    assert not Record("video_encoder", "torch", "golden", "f32", 1, nan, nan).passed
    assert not Record("video_encoder", "OpenVINO bf16", "golden", "bf16", 1, nan, nan).passed


@pytest.mark.parametrize(("size", "departure", "passed"), [(0.5, 2e-4, False), (50.0, 2e-3, True), (50.0, 2e-2, False)])
def test_departure_is_a_share_of_the_largest_logit_where_that_is_above_one(
    size: float, departure: float, passed: bool
) -> None:
    wanted = {"frame_features": np.array([[[size, -size, 0.0]]], dtype=np.float32)}
    found = {"frame_features": wanted["frame_features"] + np.float32(departure)}
    difference, _ = measure_distance(found, wanted)
    assert difference == pytest.approx(departure / max(size, 1.0), rel=1e-2)
    assert Record("video_encoder", "torch", "golden", "f32", 1, difference).passed is passed


@pytest.mark.parametrize(("cosine", "passed"), [(0.9989, False), (0.9991, True)])
def test_bf16_is_judged_by_its_cosine(cosine: float, passed: bool) -> None:
    assert Record("video_encoder", "OpenVINO bf16", "golden", "bf16", 1, 0.02, cosine).passed is passed


def test_table_is_printed_even_where_it_fails(script_bundle: Path, tmp_path: Path) -> None:
    copy = alter_golden(script_bundle, tmp_path / "b", key="words", change=np.negative)
    screen = io.StringIO()
    with pytest.raises(BundleError, match="text_encoder_en on TorchScript"):
        verify_bundle(copy, console=Console(file=screen, width=200))
    assert "Bundle mini" in screen.getvalue()


def test_table_has_a_row_a_record() -> None:
    records = [
        Record("video_encoder", "torch", "golden", "f32", 1, 1e-7, 1.0),
        Record("video_encoder", "ONNX Runtime", "golden", "f32", 1, 0.5, 0.7),
        Record("video_encoder", "OpenVINO bf16", "all", "bf16", note=NO_BF16),
    ]
    screen = io.StringIO()
    Console(file=screen, width=200).print(render_records(records, title="Bundle"))
    lines = [[cell.strip() for cell in line.split("│")[1:-1]] for line in screen.getvalue().splitlines() if "│" in line]
    assert lines == [
        ["video_encoder", "torch", "golden", "1", "1.0e-07", "1.000000", "difference 0.0001", "equal"],
        ["video_encoder", "ONNX Runtime", "golden", "1", "5.0e-01", "0.700000", "difference 0.0001", "differs"],
        ["video_encoder", "OpenVINO bf16", "all", "0", "", "", "cosine 0.999", NO_BF16],
    ]
