"""Logs are JSON, one object a line, whoever writes them."""

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from service.telemetry.logging import configure_logging


@pytest.fixture(autouse=True)
def _restore_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def written(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_both_kinds_of_loggers_write_json_with_the_request_id(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info")
    with structlog.contextvars.bound_contextvars(request_id="r1"):
        structlog.get_logger("ours").warning("跳", number=1)
        logging.getLogger("uvicorn.error").info("theirs %d", 2)
    ours, theirs = written(capsys)
    assert (ours["event"], ours["level"], ours["number"], ours["request_id"]) == ("跳", "warning", 1, "r1")
    assert (theirs["event"], theirs["level"], theirs["request_id"]) == ("theirs 2", "info", "r1")


def test_level_hides_what_lies_below_it(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("error")
    structlog.get_logger("ours").warning("hidden")
    logging.getLogger("theirs").warning("hidden")
    structlog.get_logger("ours").error("seen")
    assert [line["event"] for line in written(capsys)] == ["seen"]


def test_exception_stays_on_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info")
    try:
        raise KeyError("missing")
    except KeyError:
        structlog.get_logger("ours").exception("failed")
    [line] = written(capsys)
    assert "KeyError: 'missing'" in str(line["exception"])
