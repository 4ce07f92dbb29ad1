"""A bundle is configured anew without touching its graphs, and stays one that verifies."""

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from service.contract.errors import BundleError
from service.contract.manifest import open_bundle
from tests.end_to_end.server import ROOT
from training.commands.menu import app
from training.errors import DataError
from training.export.configure import configure_bundle, read_encode_seconds
from training.export.triton import Deployment

DEMO = ROOT / "model_repository" / "demo"


def read_configs(bundle: Path) -> str:
    return "".join(path.read_text(encoding="utf-8") for path in sorted(bundle.glob("*/config.pbtxt")))


def test_configured_copy_verifies_and_leaves_the_original_alone(tmp_path: Path) -> None:
    before = read_configs(DEMO)
    out = configure_bundle(DEMO, tmp_path / "out", deployment=Deployment(gpus=(0,)))
    changed, original = open_bundle(out).manifest, open_bundle(DEMO).manifest
    assert {name for name, digest in changed.files.items() if original.files[name] != digest} == {
        f"{model}/config.pbtxt" for model in ("video_encoder", "text_encoder_en", "text_encoder_zh")
    }
    assert changed.model_copy(update={"files": original.files}) == original
    assert (read_configs(DEMO), read_configs(out).count("KIND_GPU gpus: [ 0 ]")) == (before, 3)


def test_bundle_can_be_configured_in_its_place(tmp_path: Path) -> None:
    out = configure_bundle(DEMO, tmp_path / "out", deployment=Deployment(gpus=(0,)))
    configure_bundle(out, out, deployment=Deployment())
    assert open_bundle(out).digest == open_bundle(DEMO).digest


def test_folder_of_something_else_stays(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    with pytest.raises(BundleError, match="notes exists and is not a bundle"):
        configure_bundle(DEMO, tmp_path / "notes", deployment=Deployment())


def test_command_writes_what_its_options_say(tmp_path: Path) -> None:
    encode = [{"num_views": 1, "call_ms": 10, "views_per_second": 100}, {"num_views": 8, "call_ms": 40}]
    (tmp_path / "report.json").write_text(json.dumps({"encode": encode, "labels": []}))
    options = ["--gpus", "0, 1", "--instances", "2", "--tensorrt", "FP16", "--measured", str(tmp_path / "report.json")]
    result = CliRunner().invoke(app, ["configure", str(DEMO), "--out", str(tmp_path / "out"), *options])
    assert result.exit_code == 0, result.output
    config = (tmp_path / "out" / "video_encoder" / "config.pbtxt").read_text(encoding="utf-8")
    for part in (
        "count: 2 kind: KIND_GPU gpus: [ 0, 1 ]",
        'value: "FP16"',
        "preferred_batch_size: [ 8 ]",
        "max_queue_delay_microseconds: 1000\n",
    ):
        assert part in config


@pytest.mark.parametrize(
    ("report", "message"),
    [
        ("{}", "has no encode times (1 problems); give what `duoact bench --out` wrote"),
        ("[]", "has no encode times (1 problems)"),
        ('{"encode": [{"num_views": "x"}]}', "has no encode times (2 problems)"),
        ('{"encode": []}', "has an empty list of encode times; measure a bundle, not a running service"),
        ("no JSON", "cannot be read as JSON"),
    ],
)
def test_report_without_encode_times_is_refused(tmp_path: Path, report: str, message: str) -> None:
    (tmp_path / "report.json").write_text(report)
    with pytest.raises(DataError, match=re.escape(message)):
        read_encode_seconds(tmp_path / "report.json")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--tensorrt", "FP16"], "TensorRT needs a GPU"),
        (["--gpus", "0,first"], "gpus has 'first'; give numbers"),
    ],
)
def test_impossible_options_are_refused(tmp_path: Path, options: list[str], message: str) -> None:
    result = CliRunner().invoke(app, ["configure", str(DEMO), "--out", str(tmp_path / "out"), *options])
    assert (result.exit_code, message in " ".join(result.output.split())) == (2, True)
    assert not (tmp_path / "out").exists()
