"""The command: a miniature run against the real engine, in this process and over HTTP, and everything it refuses."""

import json
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog
from typer.testing import CliRunner

from service.cli import app
from tests.tiny_graphs import write_tiny_bundle, write_tiny_classifier
from tests.videos import write_numbered_video

ROOT = Path(__file__).parents[3]
MINIATURE = (
    *("--num-requests", "3", "--num-warm-up", "1", "--num-rounds", "1", "--num-labels", "4"),
    *("--concurrency", "1,2", "--batch-sizes", "1,2"),
)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_numbered_video(tmp_path_factory.mktemp("videos") / "clip.mp4", num_frames=20)


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("DUOACT_CACHE_DIR", str(tmp_path / "cache"))
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["bench", *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, " ".join(result.stderr.split())


@pytest.fixture(scope="module")
def measured(bundle: Path, video: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any]]:
    out = tmp_path_factory.mktemp("reports") / "report.json"
    code, tables, progress = run("--bundle", bundle, "--video", video, *MINIATURE, "--out", out)
    assert code == 0, progress
    report: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return tables, report


def test_report_says_what_was_measured_and_where(measured: tuple[str, dict[str, Any]]) -> None:
    _, report = measured
    assert (report["subject"]["bundle"], report["subject"]["label_set"]) == ("tiny", "shapes")
    assert report["environment"]["options"]["workers"] == 2
    assert report["environment"]["num_cpus"] >= report["environment"]["num_usable_cpus"] >= 1
    assert report["latencies"]["video"]["num_frames"] == 20
    assert report["plan"]["concurrencies"] == [1, 2]


def test_every_part_is_measured(measured: tuple[str, dict[str, Any]]) -> None:
    _, report = measured
    assert set(report["latencies"]["stages"]) == {"labels", "decode", "encode", "score", "elsewhere"}
    assert [each["latency"]["num"] for each in report["throughput"]] == [4, 8]
    assert [each["num_views"] for each in report["encode"]] == [1, 2]
    assert [(each["language"], each["num_labels"]) for each in report["labels"]] == [("en", 4), ("zh", 4)]
    assert min(report["start"].values()) > 0
    assert report["latencies"]["num_hits"] == 0


def test_ratios_are_those_of_the_figures(measured: tuple[str, dict[str, Any]]) -> None:
    _, report = measured
    new, known = (report["latencies"][name]["p50_ms"] for name in ("new_video", "known_video"))
    one, two = (each["requests_per_second"] for each in report["throughput"])
    assert list(report["ratios"]) == [
        "new video / known video, p50",
        "requests per second at 2 / at 1",
        "views per second in batches of 2 / of 1",
        "labels cold / warm, en",
        "labels cold / warm, zh",
        "first start / start again",
    ]
    assert report["ratios"]["new video / known video, p50"] == pytest.approx(new / known, abs=1e-3)
    assert report["ratios"]["requests per second at 2 / at 1"] == pytest.approx(two / one, abs=1e-3)


def test_tables_show_every_part(measured: tuple[str, dict[str, Any]]) -> None:
    tables, _ = measured
    for part in ("new video", "decode", "requests/s", "views/s", "from disk", "side by side", "start until ready: "):
        assert part in tables
    assert "3 labels of shapes, in this process" in " ".join(tables.split())


def test_users_cache_is_left_alone(measured: tuple[str, dict[str, Any]], tmp_path: Path) -> None:
    assert measured
    assert not (tmp_path / "cache").exists()


def test_closed_vocabulary_is_measured_without_labels(video: Path, tmp_path: Path) -> None:
    classifier = write_tiny_classifier(tmp_path / "classifier")
    code, out, _ = run("--bundle", classifier, "--video", video, *MINIATURE, "--json")
    report = json.loads(out)
    assert (code, report["labels"], report["subject"]["label_set"]) == (0, [], None)
    assert report["subject"]["num_labels"] == 3


@contextmanager
def serving(bundle: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "service", "serve", "--bundle", str(bundle), "--port", "0"]
    environment = os.environ | {"DUOACT_LOG_LEVEL": "error"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment) as server:
        assert server.stdout is not None
        yield server.stdout.readline().rpartition(" on ")[2].strip()
        server.terminate()
        server.terminate()


def test_running_service_is_measured_over_http(bundle: Path, video: Path, tmp_path: Path) -> None:
    with serving(bundle) as url:
        code, out, error = run("--url", url, "--video", video, *MINIATURE, "--out", tmp_path / "report.json")
    assert (code, "start until ready" in out, f"labels of shapes, {url}" in " ".join(out.split())) == (
        0,
        False,
        True,
    ), error
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert (report["start"], report["encode"], report["labels"], report["memory"]) == (None, [], [], None)
    assert (report["subject"]["bundle"], report["subject"]["url"]) == ("tiny", url)
    assert report["environment"]["options"] is None
    assert "upload" in report["latencies"]["stages"]


@pytest.mark.slow
def test_ci_script_measures_the_demo_bundle() -> None:
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    command = ["bash", str(ROOT / ".ci" / "bench"), *MINIATURE]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["subject"]["bundle"], report["subject"]["label_set"]) == ("demo", "motion_shapes")
    assert report["latencies"]["video"]["num_frames"] == 250


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--concurrency", "0"), "duoact: --concurrency is 0; give at least 1"),
        (("--concurrency", "many"), "duoact: --concurrency is 'many'; give whole numbers separated by commas,"),
        (("--num-requests", "0"), "duoact: --num-requests is 0; give at least 1"),
        (
            ("--url", "http://127.0.0.1:1"),
            "duoact: --url is 'http://127.0.0.1:1', whose bundle and workers are its own",
        ),
    ],
)
def test_impossible_option_is_one_line(bundle: Path, arguments: tuple[str, ...], message: str) -> None:
    code, out, error = run("--bundle", bundle, *arguments)
    assert (code, out, error[: len(message)]) == (2, "", message)


def test_report_in_a_folder_that_is_not_there_is_one_line(bundle: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "missing" / "report.json")
    code, _, error = run("--bundle", bundle, "--out", out)
    message = f"duoact: --out is {out!r}; give a file in a folder"
    assert (code, error[: len(message)]) == (2, message)


def test_video_that_is_not_there_is_one_line(bundle: Path, tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.mp4")
    code, _, error = run("--bundle", bundle, "--video", missing)
    assert (code, error) == (2, f"duoact: --video is {missing!r}, which cannot be read: No such file or directory")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--video", __file__), f"duoact: no answer for {__file__!r}: the bytes are not a readable video"),
        (("--label-set", "nope"), "duoact: --label-set is 'nope', which is not stored here; known are: hmdb51, "),
        (("--num-labels", "999999"), "duoact: --num-labels is 999999; the stored label sets have "),
    ],
)
def test_what_cannot_be_measured_is_one_line(
    bundle: Path, video: Path, arguments: tuple[str, ...], message: str
) -> None:
    code, out, error = run("--bundle", bundle, "--video", video, *arguments)
    assert (code, out) == (2, "")
    assert message in error


def test_bundle_that_is_not_there_is_one_line(video: Path, tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    code, _, error = run("--bundle", missing, "--video", video)
    assert (code, error) == (
        2,
        f"duoact: {missing} is not a bundle: it has no bundle.json; give the folder that holds one",
    )


def test_url_that_does_not_answer_is_one_line(video: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
        code, _, error = run("--url", url, "--video", video)
    assert code == 2
    assert error.startswith(f"duoact: {url}/readyz cannot be asked: ConnectError")
    assert error.endswith("start `duoact serve` there, or correct --url")
