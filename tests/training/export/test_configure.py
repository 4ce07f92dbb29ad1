"""A bundle is configured anew without touching its graphs, and stays one that verifies."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from service.contract.errors import BundleError
from service.contract.manifest import open_bundle
from tests.end_to_end.server import ROOT
from training.cli import app
from training.export.configure import configure_bundle
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
    options = ["--gpus", "0,1", "--instances", "2", "--tensorrt", "FP16", "--measured", "1=0.01,8=0.04"]
    result = CliRunner().invoke(app, ["configure", str(DEMO), "--out", str(tmp_path / "out"), *options])
    assert result.exit_code == 0, result.output
    config = (tmp_path / "out" / "video_encoder" / "config.pbtxt").read_text(encoding="utf-8")
    for part in ("count: 2 kind: KIND_GPU gpus: [ 0, 1 ]", 'value: "FP16"', "preferred_batch_size: [ 8 ]"):
        assert part in config


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--tensorrt", "FP16"], "TensorRT needs a GPU"),
        (["--gpus", "first"], "invalid literal"),
        (["--measured", "1:3"], "invalid literal"),
    ],
)
def test_impossible_options_are_refused(tmp_path: Path, options: list[str], message: str) -> None:
    result = CliRunner().invoke(app, ["configure", str(DEMO), "--out", str(tmp_path / "out"), *options])
    assert (result.exit_code, message in " ".join(result.output.split())) == (2, True)
    assert not (tmp_path / "out").exists()
