import io
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from safetensors.numpy import load_file, save_file

from service.contract.agreement import Distance, measure_distance
from service.contract.engine import choose_precision, find_obstacle
from service.contract.errors import BundleError
from service.contract.manifest import NO_SECTIONS, file_digest, open_bundle, render_manifest
from service.contract.precision import Precision
from tests.training.export.miniature import FUSION, PROVENANCE, build_miniature
from training.export.bundle import export_bundle
from training.export.engines import Run, openvino_engine
from training.export.verify import Record, render_records, verify_bundle
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
    engines = ["ONNX Runtime", "OpenVINO f32", *([] if find_obstacle("bf16") else ["OpenVINO bf16"])]
    assert rows(records) == expected_rows("torch", *engines)
    assert max(record.distance.max_difference for record in records if record.precision == "f32") < 1e-5


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
    assert set(notes) == {find_obstacle("bf16")}


def test_another_model_is_told_apart(script_bundle: Path) -> None:
    other = build_miniature()
    other.video.visual.proj.data *= -1
    with pytest.raises(
        BundleError, match=r"video_encoder on torch, golden: .* smallest cosine -1\.0.*difference of 0\.0001"
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
    assert not Record("video_encoder", "torch", "golden", "f32", 1, Distance(nan, nan)).is_near
    assert not Record("video_encoder", "OpenVINO bf16", "golden", "bf16", 1, Distance(nan, nan)).is_near


@pytest.mark.parametrize(("size", "departure", "passed"), [(0.5, 2e-4, False), (50.0, 2e-3, True), (50.0, 2e-2, False)])
def test_departure_is_a_share_of_the_largest_logit_where_that_is_above_one(
    size: float, departure: float, passed: bool
) -> None:
    wanted = {"frame_features": np.array([[[size, -size, 0.0]]], dtype=np.float32)}
    found = {"frame_features": wanted["frame_features"] + np.float32(departure)}
    distance = measure_distance(found, wanted)
    assert distance.max_difference == pytest.approx(departure / max(size, 1.0), rel=1e-2)
    assert Record("video_encoder", "torch", "golden", "f32", 1, distance).is_near is passed


@pytest.mark.parametrize(("cosine", "passed"), [(0.9989, False), (0.9991, True)])
def test_bf16_is_judged_by_its_cosine(cosine: float, passed: bool) -> None:
    assert Record("video_encoder", "OpenVINO bf16", "golden", "bf16", 1, Distance(0.02, cosine)).is_near is passed


def test_proof_is_owed_in_the_precisions_that_are_served(bundle: Path) -> None:
    served = {(record.graph, record.precision) for record in verify_bundle(bundle) if record.served}
    assert served == {("video_encoder", "bf16"), *((graph, "f32") for graph in CASES)}


BENT = 0.998


def bend(vectors: np.ndarray) -> np.ndarray:
    """Turn unit vectors by the same angle, so that their cosine to what they were is 0.998."""
    across = np.roll(vectors, 1, axis=-1)
    across -= (across * vectors).sum(axis=-1, keepdims=True) * vectors
    across /= np.linalg.norm(across, axis=-1, keepdims=True)
    return np.asarray(BENT * vectors + np.sqrt(1 - BENT**2) * across, dtype=np.float32)


@pytest.fixture
def bf16_is_bent(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Let one graph answer as a CPU does whose bf16 is too coarse for the model, on every class of CPU."""

    def bend_graph(graph: str) -> None:
        def openvino(path: Path, *, precision: Precision) -> Run:
            run = openvino_engine(path, precision="f32")
            if precision == "f32" or path.parts[-3] != graph:
                return run
            return lambda inputs: {name: bend(array) for name, array in run(inputs).items()}

        monkeypatch.setattr("training.export.verify.openvino_engine", openvino)
        monkeypatch.setattr("training.export.verify.find_obstacle", lambda _: "")

    return bend_graph


def test_precision_that_is_never_served_is_reported_and_does_not_fail(
    bundle: Path, bf16_is_bent: Callable[[str], None]
) -> None:
    bf16_is_bent("text_encoder_en")
    far = [record for record in verify_bundle(bundle) if not record.is_near]
    assert {(record.graph, record.precision) for record in far} == {("text_encoder_en", "bf16")}
    assert all(record.distance.min_cosine == pytest.approx(BENT, abs=1e-4) for record in far)


def forget_sections(bundle: Path, copy: Path) -> Path:
    """Copy a bundle as a CPU without bf16 would have exported it."""
    shutil.copytree(bundle, copy)
    manifest = open_bundle(bundle).manifest.model_copy(update={"sections": NO_SECTIONS})
    (copy / "bundle.json").write_text(render_manifest(manifest), encoding="utf-8")
    return copy


def test_precision_that_is_served_must_be_near(
    bundle: Path, tmp_path: Path, bf16_is_bent: Callable[[str], None]
) -> None:
    bf16_is_bent("video_encoder")
    silent = forget_sections(bundle, tmp_path / "silent")
    with pytest.raises(
        BundleError,
        match=r"^video_encoder on OpenVINO bf16, golden: .* smallest cosine 0\.99[78]\d+; a cosine of 0\.999 is "
        r"allowed: serve it in f32 \(DUOACT_ENCODER_PRECISION\)$",
    ):
        verify_bundle(silent)


def test_bundle_says_where_bf16_is_too_coarse_and_is_then_served_in_f32(
    model: VideoCLIP, tmp_path: Path, bf16_is_bent: Callable[[str], None]
) -> None:
    bf16_is_bent("video_encoder")
    out = export_bundle(model, tmp_path / "b", name="b", label_sets={}, fusion=FUSION, provenance=PROVENANCE)
    sections = open_bundle(out).manifest.sections
    assert sections.precisions is not None
    assert sections.precisions["video_encoder"]["bf16"].min_cosine == pytest.approx(BENT, abs=1e-4)
    assert choose_precision("auto", graph="video_encoder", sections=sections) == "f32"
    assert not any(record.served for record in verify_bundle(out) if record.precision == "bf16")


def test_table_is_printed_even_where_it_fails(script_bundle: Path, tmp_path: Path) -> None:
    copy = alter_golden(script_bundle, tmp_path / "b", key="words", change=np.negative)
    screen = io.StringIO()
    with pytest.raises(BundleError, match="text_encoder_en on TorchScript"):
        verify_bundle(copy, console=Console(file=screen, width=200))
    assert "Bundle mini" in screen.getvalue()


RECORDS = [
    Record("video_encoder", "torch", "golden", "f32", 1, Distance(1e-7, 1.0)),
    Record("video_encoder", "ONNX Runtime", "lengths 3 to 77", "f32", 75, Distance(0.5, 0.712345)),
    Record("text_encoder_en", "OpenVINO bf16", "padded to 77", "bf16", 9, Distance(0.02, 0.995175), served=False),
    Record("text_encoder_zh", "OpenVINO bf16", "all", "bf16", note="this CPU has no bf16 [amx]"),
]


def test_tables_have_a_row_a_record_whole_at_80_columns() -> None:
    screen = io.StringIO()
    Console(file=screen, width=80).print(render_records(RECORDS, title="Bundle mini"))
    lines = [" ".join(line.split()) for line in screen.getvalue().splitlines() if line.strip(" ─")]
    heads = [
        "engine input runs largest difference smallest cosine",
        "largest smallest",
        "engine input runs difference cosine",
    ]
    assert [line for line in lines if line not in heads] == [
        "Bundle mini",
        "video_encoder",
        "torch golden 1 1.0e-07 1.000000 equal",
        "ONNX Runtime lengths 3 to 77 75 5.0e-01 0.712345 differs",
        "text_encoder_en",
        "OpenVINO bf16 padded to 77 9 2.0e-02 0.995175 not served",
        "text_encoder_zh",
        "OpenVINO bf16 all 0 not run",
        "allowed: a difference of 0.0001 in f32 and a cosine of 0.999 in bf16",
        "OpenVINO bf16 is not run: this CPU has no bf16 [amx]",
        "not served, and so not judged: text_encoder_en in bf16",
    ]
