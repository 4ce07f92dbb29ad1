"""`duoact capacity` prints a plan, or says in one line why there is none."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from service.cli import app
from tests.service.capacity.test_costs import write_report


def test_plan_as_a_table(tmp_path: Path) -> None:
    report = write_report(tmp_path / "report.json")
    shown = CliRunner().invoke(app, ["capacity", str(report), "--requests-per-second", "50"])
    assert shown.exit_code == 0
    assert [line.split("  ")[0].strip() for line in shown.stdout.splitlines()] == [
        "gateways, 4 decoding processes each",
        "encoders, at most 16 views a call",
        "answers, p50 / p99",
        "waiting for a gateway, p99",
        "waiting for an encoder, p99",
        "uploads",
        "views to encoders",
    ]


def test_plan_as_json_with_another_encoder(tmp_path: Path) -> None:
    report = write_report(tmp_path / "report.json")
    (tmp_path / "gpu.json").write_text('{"encode": [{"num_views": 1, "call_ms": 0.01}]}')
    options = ["--encoder", str(tmp_path / "gpu.json"), "--requests-per-second", "100", "--json"]
    plan = json.loads(CliRunner().invoke(app, ["capacity", str(report), *options]).stdout)
    assert plan["machines"] == {"num_gateways": 2, "num_encoders": 1, "num_workers": 4, "max_views": 16}
    assert (plan["uploads_megabits_per_second"], plan["views_megabits_per_second"]) == (1000.0, 963.3792)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["none.json"], "duoact: report 'none.json' cannot be read: No such file or directory\n"),
        (["{report}", "--p99-seconds", "0.01"], "duoact: decoding and encoding take 0.048 s without any waiting, the"),
    ],
)
def test_what_cannot_be_planned_is_one_line(tmp_path: Path, options: list[str], message: str) -> None:
    report = str(write_report(tmp_path / "report.json"))
    refused = CliRunner().invoke(app, ["capacity", *(each.format(report=report) for each in options)])
    assert (refused.exit_code, refused.stderr.count("\n")) == (2, 1)
    assert refused.stderr.startswith(message)
