"""The commands: a real run on a tiny bundle, and one clear line for everything that can be wrong."""

import http.client
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest
import structlog
from typer.testing import CliRunner

from service.__main__ import main
from service.cli import app
from tests.tiny_graphs import write_tiny_bundle, write_tiny_classifier
from tests.videos import write_numbered_video

LABELS = "moving left, running，跳"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_numbered_video(tmp_path_factory.mktemp("videos") / "clip.mp4", num_frames=20)


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("DUOACT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("DUOACT_DRAIN_DELAY_SECONDS", "0.3")
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, " ".join(result.stderr.split())


def test_recognize_prints_the_answer_of_the_api(bundle: Path, video: Path) -> None:
    code, out, _ = run(
        "recognize",
        video,
        "--bundle",
        bundle,
        "--labels",
        "moving left, running",
        "--lambda",
        1,
        "--json",
        "--top-k",
        1,
    )
    answer = json.loads(out)
    assert (code, answer["bundle"]["name"], answer["request_id"]) == (0, "tiny", "local")
    assert answer["video"]["num_frames"] == 20
    assert len(answer["predictions"]) == 1


def recognize_from(standard_input: int | IO[bytes], *arguments: object, content: bytes | None = None) -> str:
    command = [sys.executable, "-m", "service", "recognize", "/dev/stdin", "--labels", "running", "--lambda", "1"]
    words = [*command, *map(str, arguments)]
    process = subprocess.Popen(words, stdin=standard_input, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    out, _ = process.communicate(content, timeout=120)
    return out.decode()


def test_recognize_reads_a_pipe_and_a_redirected_file(bundle: Path, video: Path) -> None:
    piped = recognize_from(subprocess.PIPE, "--bundle", bundle, "--json", content=video.read_bytes())
    with video.open("rb") as file:
        redirected = recognize_from(file, "--bundle", bundle, "--json")
    for answer in map(json.loads, (piped, redirected)):
        assert answer["video"]["num_frames"] == 20


def test_recognize_refuses_an_endless_pipe(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUOACT_MAX_UPLOAD_BYTES", "100000")
    with Path("/dev/zero").open("rb") as endless:
        said = recognize_from(endless, "--bundle", bundle)
    assert "the pipe gives more than 100000 bytes, the most that are accepted" in said


def test_recognize_prints_a_table_and_warnings(bundle: Path, video: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("moving left\n\nrunning [bold]\n", encoding="utf-8")
    code, out, _ = run("recognize", video, "--bundle", bundle, "--labels-file", labels, "--views", "2x1")
    assert code == 0
    for part in ("moving left", "running [bold]", "probability", "h264; lambda 1", "warning: no Chinese text for"):
        assert part in " ".join(out.split())


@pytest.mark.parametrize(
    ("name", "content"),
    [("labels.json", '["running", {"en": "go", "zh": "走"}]'), ("labels.csv", "id,en,zh\n0,running,跑\n1,go,走\n")],
)
def test_labels_come_from_files_of_three_kinds(
    bundle: Path, video: Path, tmp_path: Path, name: str, content: str
) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    arguments = ("--labels-file", tmp_path / name, "--lambda", 1, "--json")
    code, out, _ = run("recognize", video, "--bundle", bundle, *arguments)
    assert code == 0
    assert {prediction["label"]["en"] for prediction in json.loads(out)["predictions"]} == {"running", "go"}


def test_stored_label_set_is_found_by_name(bundle: Path, video: Path) -> None:
    arguments = ("--label-set", "shapes", "--lambda", 1, "--json")
    code, out, _ = run("recognize", video, "--bundle", bundle, *arguments)
    assert (code, len(json.loads(out)["predictions"])) == (0, 3)


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_classifier(tmp_path_factory.mktemp("bundles") / "classifier")


def test_classifier_ranks_its_own_classes(classifier: Path, video: Path) -> None:
    code, out, _ = run("recognize", video, "--bundle", classifier, "--json")
    answer = json.loads(out)
    assert (code, answer["fusion"], [frame["index"] for frame in answer["frames"]]) == (0, None, [2, 7, 12, 16])
    assert {each["label"]["en"] for each in answer["predictions"]} == {"moving left", "moving right", "growing"}
    assert sum(each["probability"] for each in answer["predictions"]) == pytest.approx(1.0)


def test_classifier_says_that_its_vocabulary_is_closed(classifier: Path, video: Path) -> None:
    code, out, _ = run("recognize", video, "--bundle", classifier, "--labels", "growing")
    assert (code, "growing / 变大" in out, "closed vocabulary;" in out) == (0, True, True)
    assert "warning: probabilities are among all 3 classes of this bundle" in out
    refused, _, error = run("recognize", video, "--bundle", classifier, "--labels", "shrinking")
    assert (refused, "closed, with 3 classes" in error) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((), 2, "give exactly one of --labels, --labels-file and --label-set"),
        (("--labels", "a", "--label-set", "b"), 2, "give exactly one of"),
        (("--labels", "a,,b"), 1, "label '' is empty"),
        (("--label-set", "nope"), 2, "label set 'nope' is not stored here; known are: hmdb51, "),
        (("--labels", LABELS), 1, "no language in common"),
        (("--labels", "a", "--views", "many"), 1, "views is 'many'"),
    ],
)
def test_refused_request_is_one_line(
    bundle: Path, video: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    found, _, error = run("recognize", video, "--bundle", bundle, *arguments)
    assert found == code
    assert error.startswith("duoact: ")
    assert message in error


def test_label_file_that_is_not_there_is_named(bundle: Path, video: Path, tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.txt")
    code, _, error = run("recognize", video, "--bundle", bundle, "--labels-file", missing)
    assert (code, error) == (2, f"duoact: label file {missing!r} cannot be read: No such file or directory")


def test_label_file_that_is_no_json_is_named(bundle: Path, video: Path, tmp_path: Path) -> None:
    (tmp_path / "labels.json").write_text("[", encoding="utf-8")
    code, _, error = run("recognize", video, "--bundle", bundle, "--labels-file", tmp_path / "labels.json")
    assert (code, "labels.json' cannot be read" in error) == (2, True)


def test_video_that_is_not_there_is_named(bundle: Path, tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.mp4")
    code, _, error = run("recognize", missing, "--bundle", bundle, "--labels", "a")
    assert (code, error) == (2, f"duoact: video {missing!r} cannot be read: No such file or directory")


@pytest.mark.parametrize("command", [("serve",), ("recognize", __file__, "--labels", "a")])
def test_unknown_bundle_is_one_line(command: tuple[str, ...], tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    code, _, error = run(*command, "--bundle", missing, *(("--port", 0) if command == ("serve",) else ()))
    assert (code, error) == (
        2,
        f"duoact: {missing} is not a bundle: it has no bundle.json; give the folder that holds one",
    )


def test_altered_file_of_the_bundle_is_named(tmp_path: Path) -> None:
    bundle = write_tiny_bundle(tmp_path / "tiny")
    with (bundle / "tokenizer_zh.json").open("a") as file:
        file.write(" ")
    code, _, error = run("serve", "--bundle", bundle, "--port", 0)
    assert (code, f"tokenizer_zh.json in {bundle} was altered" in error) == (2, True)


def test_port_in_use_is_one_line(bundle: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        code, _, error = run("serve", "--bundle", bundle, "--port", port)
    assert code == 2
    assert error.startswith(
        f"duoact: 127.0.0.1:{port} cannot be listened on: [Errno 98] Address already in use; choose"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--host", "no such host"), "host 'no such host' cannot be listened on"),
        (("--workers", 0), "DUOACT_WORKERS is 0"),
        (("--triton", "http://gpu:8000"), "DUOACT_TRITON is 'http://gpu:8000': String should match pattern"),
    ],
)
def test_impossible_option_is_one_line(bundle: Path, arguments: tuple[object, ...], message: str) -> None:
    code, _, error = run("serve", "--bundle", bundle, "--port", 0, *arguments)
    assert (code, message in error) == (2, True)


def test_installed_command_explains_itself(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["duoact", "--help"])
    with pytest.raises(SystemExit):
        main()
    assert "Usage: duoact" in capsys.readouterr().out


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def ask_ready(port: int) -> int | None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status
    except OSError:
        return None
    finally:
        connection.close()


def wait_until_ready(port: int) -> None:
    for _ in range(600):
        if ask_ready(port) == 200:
            return
        time.sleep(0.05)
    raise AssertionError(port)


@pytest.mark.parametrize(("signals", "delays"), [((signal.SIGTERM,), True), ((signal.SIGTERM, signal.SIGTERM), False)])
def test_service_is_unready_before_it_leaves(bundle: Path, signals: tuple[int, ...], delays: bool) -> None:
    port, seen = free_port(), []

    def interrupt() -> None:
        wait_until_ready(port)
        for number in signals:
            os.kill(os.getpid(), number)
            time.sleep(0.1)
        seen.append(ask_ready(port))

    thread = threading.Thread(target=interrupt)
    thread.start()
    code, out, _ = run("serve", "--bundle", bundle, "--port", port)
    thread.join()
    assert (code, out) == (0, f"DuoAct serves tiny on http://127.0.0.1:{port}\n")
    assert seen == ([503] if delays else [None])


def test_interrupt_from_the_keyboard_ends_the_installed_command(bundle: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "service", "serve", "--bundle", str(bundle), "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        wait_until_ready(port)
        server.send_signal(signal.SIGINT)
        _, errors = server.communicate(timeout=30)
    assert server.returncode == 0
    assert all(json.loads(line) for line in errors.splitlines())
