"""Train, export and publish as a scheduler does it: exit codes, and going on after every stop."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.end_to_end.server import ROOT
from tests.training.commands.test_menu import call
from tests.training.publishing.publications import write_bundle
from training.data.annotations import VideoData

SMALL = ("num_frames=4", "num_global_prompts=2", "beta_width=4", "num_epochs=30", "batch_size=4", "log_every_steps=1",
         "checkpoint_every_steps=1")  # fmt: skip
WAIT_SECONDS = 120.0


def stop(*arguments: object, seen: tuple[Path, str], sent: signal.Signals) -> int:
    """Start a command, send it a signal as soon as its folder has a new path, and return the exit code a shell sees."""
    before = set(seen[0].glob(seen[1]))
    command = [sys.executable, "-m", "training", *map(str, arguments)]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # A shell lets what it starts in the background ignore interrupts, tests too.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    deadline = time.monotonic() + WAIT_SECONDS
    while set(seen[0].glob(seen[1])) <= before and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(sent)
    code = process.wait(WAIT_SECONDS)
    return code if code >= 0 else 128 - code


@pytest.mark.slow
def test_stopped_training_goes_on_to_a_published_bundle(data: VideoData, backbone_dir: Path, tmp_path: Path) -> None:
    run, bundle, models = tmp_path / "run", tmp_path / "bundle", tmp_path / "models"
    settings = [part for setting in SMALL for part in ("--set", setting)]
    fit = ("fit", "dual_semantic", "--data", data.directory, "--backbone", backbone_dir, "--out", run, "--workers", 1,
           *settings)  # fmt: skip
    assert stop(*fit, "--resume", seen=(run, "checkpoint/0*"), sent=signal.SIGTERM) == 143
    assert stop(*fit, "--resume", seen=(run, "checkpoint/0*"), sent=signal.SIGINT) == 130
    assert call(*fit).exit_code == 1
    assert call(*fit, "--resume").exit_code == 0
    export = ("export", run, "--out", bundle, "--format", "torchscript")
    assert stop(*export, seen=(tmp_path, ".bundle.*.new/video_encoder"), sent=signal.SIGKILL) == 137
    assert not bundle.exists()
    assert call(*export).exit_code == 0
    assert [call("publish", bundle, "--to", models).exit_code for _ in range(2)] == [0, 0]
    assert sorted(path.name for path in (models / "video_encoder").iterdir()) == ["1", "config.pbtxt"]
    assert (models / "video_encoder/1/model.pt").read_bytes() == (bundle / "video_encoder/1/model.pt").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("publish", "nowhere", "--to", "models"), 1, "nowhere is not a bundle: it has no bundle.json"),
        (
            ("publish", "--to", "models", "--rollback"),
            1,
            "models has no publications.json: nothing was published there",
        ),
        (("publish", "--to", "models"), 2, "give a bundle or --rollback, one of them; bundle is None"),
        (("publish", "b", "--to", "models", "--rollback"), 2, "give a bundle or --rollback, one of them; bundle is b"),
        (("publish", "b", "--to", "models", "--keep", "0"), 2, "'--keep'"),
        (("publish", "b"), 2, "Missing option '--to'"),
    ],
)
def test_mistakes_of_the_caller_have_codes(
    arguments: tuple[str, ...], code: int, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = call(*arguments)
    assert result.exit_code == code
    assert message in result.stderr


def test_publish_says_what_gateways_take(tmp_path: Path) -> None:
    for remark in "ab":
        result = call("publish", write_bundle(tmp_path / remark, remark=remark), "--to", tmp_path / "models")
        assert result.exit_code == 0, result.output
    assert "current version 2" in result.stdout
    assert "DUOACT_TRITON_MODEL_VERSION=2" in result.stdout
    assert "DUOACT_TRITON_MODEL_VERSION=1" in call("publish", "--to", tmp_path / "models", "--rollback").stdout


def test_help_tells_the_codes() -> None:
    assert "137 killed" in " ".join(call("--help").stdout.split())
